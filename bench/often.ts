/** The median of several, as one is short. @returns also how often, which CPU seconds are divided by */
export async function often(
  quick: boolean,
  action: () => Promise<unknown>,
  times = 7,
): Promise<{ readonly ms: number; readonly times: number }> {
  const took: number[] = []
  for (let count = 0; count < (quick ? 1 : times); count++) {
    const started = performance.now()
    await action()
    took.push(performance.now() - started)
  }
  took.sort((a, b) => a - b)
  return { ms: took[Math.floor(took.length / 2)] ?? 0, times: took.length }
}
