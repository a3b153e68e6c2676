import { RegistryError } from './errors.ts'
import type { NamePage } from './repository-store.ts'

/** The most names in one answer; a client that wants more follows the `Link`. */
const MAX_NAMES = 10_000

export interface Names<Name extends string> {
  readonly names: readonly Name[]
  /** `Link` to the rest, when there is a rest. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * One page of a sorted list (distribution-spec "Listing Tags", end-8b: `n` and `last`). `n=0` is an empty page with
 * no rest.
 * @param list reads from the store; undefined when what is to be listed does not exist
 * @param path of this list, for the link
 * @throws RegistryError `page-invalid`
 */
export async function readPage<Name extends string>(
  query: URLSearchParams,
  path: string,
  list: (page: NamePage) => Promise<readonly Name[] | undefined>,
): Promise<Names<Name> | undefined> {
  const n = parseCount(query.get('n'))
  const after = query.get('last')
  const found = await list({ ...(after !== null && { after }), limit: n + 1 })
  if (found === undefined) return undefined
  const names = found.slice(0, n)
  const last = names.at(-1)
  if (found.length <= n || last === undefined) return { names, headers: {} }
  return { names, headers: { Link: `<${path}?n=${n}&last=${encodeURIComponent(last)}>; rel="next"` } }
}

function parseCount(text: string | null): number {
  if (text === null) return MAX_NAMES
  if (/^[0-9]+$/.test(text)) return Math.min(Number(text), MAX_NAMES)
  throw new RegistryError(
    'page-invalid',
    `Cannot list: n is ${JSON.stringify(text.slice(0, 100))}, want a number from 0`,
  )
}
