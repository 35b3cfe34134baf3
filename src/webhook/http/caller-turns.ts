/** Waiting tasks of several callers. Callers take turns, so that many tasks of one do not delay those of the others. */
export interface CallerTurns<Task> {
  add(caller: string, task: Task): void;
  /** @returns whether the task still waited */
  remove(caller: string, task: Task): boolean;
  /** Removes the next task. The tasks of one caller come in their order. */
  next(): Task | undefined;
  isEmpty(): boolean;
  /** Removes all tasks. */
  clear(): Task[];
}

export function makeCallerTurns<Task>(): CallerTurns<Task> {
  // By caller. The one whose turn was last is at the end.
  const waiting = new Map<string, Set<Task>>();
  return {
    add(caller, task) {
      waiting.set(caller, (waiting.get(caller) ?? new Set()).add(task));
    },
    remove,
    next() {
      for (const [caller, tasks] of waiting) {
        for (const task of tasks) {
          remove(caller, task);
          // To the end.
          if (waiting.delete(caller)) waiting.set(caller, tasks);
          return task;
        }
      }
      return undefined;
    },
    isEmpty: () => waiting.size === 0,
    clear() {
      const tasks = [...waiting.values()].flatMap((each) => [...each]);
      waiting.clear();
      return tasks;
    },
  };

  function remove(caller: string, task: Task): boolean {
    const tasks = waiting.get(caller);
    const isFound = tasks?.delete(task) === true;
    if (tasks?.size === 0) waiting.delete(caller);
    return isFound;
  }
}

export interface LoopTurns {
  /**
   * Runs the task in one of the next turns of the event loop.
   * @returns cancels the task if it has not started
   */
  add(caller: string, task: () => void): () => void;
}

/**
 * Runs tasks that take milliseconds, of the callers in turn. When the tasks of one turn of the event loop have taken `turnMs`, the others wait for the
 * next turn, so that what is quick is done in between.
 */
export function makeLoopTurns(turnMs: number): LoopTurns {
  const waiting = makeCallerTurns<() => void>();
  let isScheduled = false;
  return {
    add(caller, task) {
      waiting.add(caller, task);
      schedule();
      return () => void waiting.remove(caller, task);
    },
  };

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(runTurn);
  }

  function runTurn(): void {
    isScheduled = false;
    const end = performance.now() + turnMs;
    do waiting.next()?.();
    while (!waiting.isEmpty() && performance.now() < end);
    if (!waiting.isEmpty()) schedule();
  }
}
