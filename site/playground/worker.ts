import { type JudgeReply, type JudgeRequest, judgeText } from './judge-text.ts';

/** The worker thread of the page. It answers each request in turn, and has no access to the page. */

/** A request with its number, which the answer repeats. */
export interface WorkerRequest extends JudgeRequest {
  readonly id: number;
}

export interface WorkerReply extends JudgeReply {
  readonly id: number;
  /** How long the judgement took. */
  readonly milliseconds: number;
}

addEventListener('message', ({ data }: MessageEvent<WorkerRequest>) => {
  const { id, ...request } = data;
  const start = performance.now();
  const reply = judgeOrExplain(request);
  postMessage({ ...reply, id, milliseconds: performance.now() - start } satisfies WorkerReply);
});

function judgeOrExplain(request: JudgeRequest): JudgeReply {
  try {
    return judgeText(request, new Date());
  } catch (error) {
    const text = `this is a bug in cloister: ${error instanceof Error ? error.message : error}; report it with the manifest`;
    return { problems: [{ text }], pods: [], profiles: [] };
  }
}
