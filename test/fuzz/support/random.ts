/** A seed gives the same inputs in every run. `SLIPWAY_FUZZ_SEED` sets another one, `SLIPWAY_FUZZ_FACTOR` runs longer. */
const SEED = Number(process.env.SLIPWAY_FUZZ_SEED ?? 1)
const FACTOR = Number(process.env.SLIPWAY_FUZZ_FACTOR ?? 1)

export interface Random {
  /** An integer from 0 to below the limit. */
  below(limit: number): number
  pick<T>(items: readonly T[]): T
  /** Up to `longest` pieces in a row. */
  text(pieces: readonly string[], longest: number): string
}

/** @param salt tells the tests of one seed apart */
export function createRandom(salt: number): Random {
  let state = (SEED * 1_000_003 + salt) | 0
  // mulberry32
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T
  return {
    below,
    pick,
    text: (pieces, longest) => Array.from({ length: below(longest + 1) }, () => pick(pieces)).join(''),
  }
}

export function rounds(count: number): number {
  return Math.ceil(count * FACTOR)
}

export const SEED_NOTE = `SLIPWAY_FUZZ_SEED=${SEED} SLIPWAY_FUZZ_FACTOR=${FACTOR}`
