import type { JudgeReply, JudgeRequest } from './judge-text.ts';
import type { WorkerReply, WorkerRequest } from './worker.ts';

/** After this time a judgement is stopped. A pod of ten containers takes a few milliseconds. */
export const MAX_MS = 10_000;

/** The most characters that are judged. The API server stores no object of this size. */
export const MAX_CHARS = 2_000_000;

/** The reply of the worker, or of this side for what the worker cannot answer. */
export type Judged = JudgeReply & { readonly milliseconds: number };

/**
 * Makes the function that judges in a worker thread, so that the page never waits. Of several requests that wait, only the last one is judged.
 * @param show called with the reply of a request
 */
export function makeJudge(show: (reply: Judged, request: JudgeRequest) => void): (request: JudgeRequest) => void {
  let worker = start();
  let id = 0;
  let running: JudgeRequest | undefined;
  let waiting: JudgeRequest | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (request) => {
    if (running === undefined) send(request);
    else waiting = request;
  };

  function start(): Worker {
    const made = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    made.addEventListener('message', ({ data }: MessageEvent<WorkerReply>) => {
      if (data.id === id) finish(data);
    });
    made.addEventListener('error', (event) => {
      event.preventDefault();
      restart(`the judgement failed: ${event.message || 'the worker thread ended'}`);
    });
    return made;
  }

  function send(request: JudgeRequest): void {
    id += 1;
    running = request;
    if (request.text.length > MAX_CHARS || request.config.length > MAX_CHARS) {
      finish(explain(`the text has more than ${MAX_CHARS.toLocaleString('en')} characters: judge it with \`cloister check\``));
      return;
    }
    timer = setTimeout(
      () => restart(`the judgement took more than ${MAX_MS / 1_000} s and was stopped: judge the text with \`cloister check\``),
      MAX_MS,
    );
    worker.postMessage({ ...request, id } satisfies WorkerRequest);
  }

  function restart(why: string): void {
    worker.terminate();
    worker = start();
    finish(explain(why));
  }

  function finish(reply: Judged): void {
    clearTimeout(timer);
    const request = running;
    running = undefined;
    if (request !== undefined && waiting === undefined) show(reply, request);
    const next = waiting;
    waiting = undefined;
    if (next !== undefined) send(next);
  }
}

const explain = (text: string): Judged => ({ problems: [{ text }], pods: [], profiles: [], milliseconds: 0 });
