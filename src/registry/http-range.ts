/** The ranges of HTTP: of what a client wants of a blob, and of what it sends of an upload. */
import type { ByteRange } from '../oci/content.ts'
import { RegistryError } from './errors.ts'

export type SatisfiableRange = Required<ByteRange>

/**
 * Reads a `Range` header against content of `size` bytes. What is not one plain range of bytes (another unit, several
 * ranges, nonsense) asks for the whole, as RFC 9110 section 14.2 allows. `500-0` cannot be satisfied: other registries
 * and the conformance suite say so.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): SatisfiableRange | 'whole' | 'unsatisfiable' {
  const match = /^bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*$/i.exec(header ?? '')
  const [, first = '', last = ''] = match ?? []
  if (match === null || (first === '' && last === '')) return 'whole'
  if (first === '') {
    const length = Math.min(Number(last), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 }
  }
  const start = Number(first)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  return start <= end ? { start, end } : 'unsatisfiable'
}

/** Both ends inclusive. */
export interface ChunkRange {
  readonly start: number
  readonly length: number
}

/**
 * Reads the `Content-Range` of a chunk: `0-499` as the distribution-spec has it, or `bytes 0-499/*` as HTTP has it.
 * @throws RegistryError `upload-invalid`
 */
export function parseContentRange(header: string): ChunkRange {
  const match = /^(?:bytes[ =])?([0-9]{1,15})-([0-9]{1,15})(?:\/(?:\*|[0-9]{1,15}))?$/i.exec(header.trim())
  const start = Number(match?.[1])
  const length = Number(match?.[2]) - start + 1
  if (match === null || length < 1) {
    throw new RegistryError(
      'upload-invalid',
      `Cannot read Content-Range ${JSON.stringify(header.slice(0, 100))}: want START-END, such as 0-499`,
    )
  }
  return { start, length }
}

/** How much of an upload has arrived, as `Range` says it. Nothing yet is `0-0` too: Docker's clients expect it. */
export function formatUploadRange(offset: number): string {
  return `0-${Math.max(offset - 1, 0)}`
}
