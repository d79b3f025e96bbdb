// Questions that a server asks of a person. Each ends once: it is answered, the server takes it back, or the calls are over that it came
// with; then nobody has to answer any more. Pure.
export class Questions {
  private calls = 0;
  private readonly open = new Set<() => void>(); // that end with the calls

  // The answer; undefined: nobody was there to give one. `over` aborts when it is not to be answered any more.
  put<T>(takenBack: AbortSignal, show: (answer: (result: T) => void, over: AbortSignal) => void): Promise<T | undefined> {
    if (takenBack.aborted) return Promise.resolve(undefined);
    const over = new AbortController();
    return new Promise((resolve) => {
      const end = (result?: T) => {
        takenBack.removeEventListener("abort", leave);
        this.open.delete(leave);
        resolve(result);
      };
      const leave = () => (end(), over.abort());
      takenBack.addEventListener("abort", leave);
      if (this.calls > 0) this.open.add(leave); // one that comes without a call is not of any
      show(end, over.signal);
    });
  }

  // `call`, and with its end that of all questions that came meanwhile, unless another still runs.
  async during<T>(call: () => Promise<T>): Promise<T> {
    ++this.calls;
    try {
      return await call();
    } finally {
      if (--this.calls === 0) for (const leave of [...this.open]) leave();
    }
  }
}
