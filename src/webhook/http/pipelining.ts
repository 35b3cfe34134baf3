import type { IncomingMessage, RequestListener } from 'node:http';
import type { Socket } from 'node:net';

/** API servers, kubelets and Prometheus send a request only after the answer to the one before. Some proxies send a few more. */
const MAX_UNANSWERED = 4;

/**
 * Bounds the requests of one connection that wait for their answers: the connection that sends more is closed. Node hands over every request that it
 * has read, 1,800 in one piece of 64 KiB, and each holds memory until it is answered.
 * @param onClose is called for each connection that is closed
 */
export function boundPipelining(handle: RequestListener, onClose: (request: IncomingMessage) => void): RequestListener {
  const unanswered = new WeakMap<Socket, number>();
  return (request, response) => {
    const { socket } = request;
    // What was read before the connection was closed is still handed over.
    if (socket.destroyed) return;
    const count = unanswered.get(socket) ?? 0;
    if (count >= MAX_UNANSWERED) {
      onClose(request);
      socket.destroy();
      return;
    }
    unanswered.set(socket, count + 1);
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    handle(request, response);
  };
}
