import type { ShedReason } from '../../core/request-record.ts';

/** What a review may find under way before it, or another, is turned away. */
export interface Crowd {
  /** Milliseconds since the loop last had nothing older to do. */
  readonly late: number;
  /** Reviews whose body is still arriving. */
  readonly arriving: number;
  /** Bytes held of all bodies. */
  readonly bytes: number;
  /** Bytes of the large bodies that wait to be judged. */
  readonly waiting: number;
}

/** A review from its headers to its answer. */
export interface Visit {
  /** So many more bytes of its body have come. */
  grew(bytes: number): void;
  /** Its body is whole. A small one is judged at once, so that it has left; a large one has to wait, if there is room. */
  arrived(isLarge: boolean): ShedReason | undefined;
  /** It is answered, or its caller is gone; may be called again. */
  left(): void;
}

export interface Gate {
  /**
   * @param isWatched whether nobody waits for its verdict: such a review is the first to be turned away
   * @param turnAway is called at most once, and only while the body arrives; the review has left then
   */
  enter(isWatched: boolean, turnAway: (why: ShedReason) => void): Visit | ShedReason;
  /** Held of all bodies. */
  bytes(): number;
  stop(): void;
}

const TICK = 100;

/**
 * Knows what is under way, and says who is to come again later.
 *
 * When too much is arriving, the review that has been at it for longest goes: an API server's takes moments, so that who sends slowly on
 * purpose is in nobody's way but his own. Small bodies are judged as soon as they are whole; what waits for that waits in sockets, where it
 * cannot be counted, and how late the loop is tells of it.
 */
export function makeGate({ enforced, watched }: { readonly enforced: Crowd; readonly watched: Crowd }): Gate {
  // In the order in which they came.
  const arriving = new Map<Visit, (why: ShedReason) => void>();
  let bytes = 0;
  let waiting = 0;
  let tick = performance.now();
  const clock = setInterval(() => {
    tick = performance.now();
  }, TICK);
  clock.unref();
  return { enter, bytes: () => bytes, stop: () => clearInterval(clock) };

  function enter(isWatched: boolean, turnAway: (why: ShedReason) => void): Visit | ShedReason {
    const most = isWatched ? watched : enforced;
    if (performance.now() - tick - TICK > most.late) return 'late';
    if (isWatched && arriving.size >= most.arriving) return 'arriving';
    if (isWatched && bytes >= most.bytes) return 'bytes';
    const visit = makeVisit(most.waiting);
    arriving.set(visit, turnAway);
    if (arriving.size > enforced.arriving) turnAwayOldest('arriving');
    return visit;
  }

  function makeVisit(room: number): Visit {
    let held = 0;
    let waits = 0;
    const visit = { grew, arrived, left };
    return visit;

    function grew(more: number): void {
      held += more;
      bytes += more;
      while (bytes > enforced.bytes && arriving.size > 0) turnAwayOldest('bytes');
    }

    function arrived(isLarge: boolean): ShedReason | undefined {
      const isFull = isLarge && waiting + held > room;
      if (!isLarge || isFull) {
        left();
        return isFull ? 'waiting' : undefined;
      }
      arriving.delete(visit);
      waits = held;
      waiting += waits;
      return undefined;
    }

    function left(): void {
      arriving.delete(visit);
      bytes -= held;
      waiting -= waits;
      held = 0;
      waits = 0;
    }
  }

  function turnAwayOldest(why: ShedReason): void {
    for (const [visit, turnAway] of arriving) {
      visit.left();
      turnAway(why);
      return;
    }
  }
}
