import { parseDigest } from '../../oci/digest.ts'
import { isTag, parseRepositoryName, type RepositoryName } from '../../oci/reference.ts'
import type { Cursor } from '../../store/inventory.ts'
import type { ManifestReference } from '../../store/metadata.ts'
import { RegistryError } from '../errors.ts'

const DEFAULT_COUNT = 100
const MAX_COUNT = 1000

/** @throws RegistryError `page-invalid` */
export function readCount(query: URLSearchParams): number {
  const text = query.get('n')
  if (text === null) return DEFAULT_COUNT
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Math.min(Number(text), MAX_COUNT)
  throw new RegistryError(
    'page-invalid',
    `Cannot list: n is ${JSON.stringify(text.slice(0, 100))}, want a number from 1`,
  )
}

/** @throws RegistryError `page-invalid` */
export function readOrder<Order extends string>(
  query: URLSearchParams,
  orders: readonly [Order, ...Order[]],
): Order {
  const text = query.get('sort')
  if (text === null) return orders[0]
  const order = orders.find(known => known === text)
  if (order !== undefined) return order
  throw new RegistryError(
    'page-invalid',
    `Cannot list: sort is ${JSON.stringify(text.slice(0, 100))}, want ${orders.join(', ')}`,
  )
}

/** What `formatCursor` made. @throws RegistryError `page-invalid` */
export function readCursor(query: URLSearchParams, order: string): Cursor | undefined {
  const text = query.get('last')
  if (text === null) return undefined
  if (order === 'name') return { value: 0, name: text }
  const [, value, name] = /^([0-9]{1,15}),([^,]*)$/.exec(text) ?? []
  if (value !== undefined && name !== undefined) return { value: Number(value), name }
  throw new RegistryError('page-invalid', 'Cannot list: last is not what this list gave out for this order')
}

export function formatCursor(order: string, { value, name }: Cursor): string {
  return order === 'name' ? name : `${value},${name}`
}

/** @throws RegistryError `request-invalid`, OciError `reference-invalid` */
export function readRepository(query: URLSearchParams, parameter: string): RepositoryName {
  return parseRepositoryName(required(query, parameter))
}

/** A tag or a digest. @throws RegistryError `request-invalid`, OciError `digest-invalid` */
export function readReference(query: URLSearchParams): ManifestReference {
  const text = required(query, 'reference')
  return isTag(text) ? { tag: text } : { digest: parseDigest(text) }
}

function required(query: URLSearchParams, parameter: string): string {
  const text = query.get(parameter)
  if (text !== null && text !== '') return text
  throw new RegistryError('request-invalid', `Cannot answer: the query parameter ${parameter} is missing`)
}
