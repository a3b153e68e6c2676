/** Does a piece of work once for all who want it at the same time; they share its outcome, good or bad. */
export function createSingleFlight<T>(): (key: string, work: () => Promise<T>) => Promise<T> {
  const flying = new Map<string, Promise<T>>()
  return (key, work) => {
    const running = flying.get(key)
    if (running !== undefined) return running
    const begun = work().finally(() => flying.delete(key))
    flying.set(key, begun)
    return begun
  }
}
