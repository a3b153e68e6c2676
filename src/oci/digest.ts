import { createHash, type Hash, hash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { OciError } from './errors.ts'

declare const digestBrand: unique symbol

/** `algorithm:hex` of some bytes, well formed (image-spec `descriptor.md#digests`). Only this file makes one. */
export type Digest = string & { readonly [digestBrand]: true }

const HEX_LENGTHS = { sha256: 64, sha512: 128 } as const

/** The algorithms of the image-spec that we can verify. */
export type DigestAlgorithm = keyof typeof HEX_LENGTHS

const DIGEST = /^(sha256|sha512):([0-9a-f]+)$/

export function isDigest(text: string): text is Digest {
  const match = DIGEST.exec(text)
  return match !== null && match[2]?.length === HEX_LENGTHS[match[1] as DigestAlgorithm]
}

/** @throws OciError `digest-invalid` unless the text is `sha256:` or `sha512:` and the right number of lower-case hex digits */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new OciError(
    'digest-invalid',
    `Cannot parse digest ${JSON.stringify(text.slice(0, 200))}: want sha256: and 64, or sha512: and 128, lower-case hex digits`,
  )
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm
}

/** The digits after the algorithm. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${hash(algorithm, bytes, 'hex')}` as Digest
}

/** A running digest over chunks; for bytes that are already in one piece use `digestOf`. */
export class Digester {
  readonly algorithm: DigestAlgorithm
  readonly #hash: Hash
  #size = 0

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size
  }

  update(chunk: Uint8Array): this {
    this.#hash.update(chunk)
    this.#size += chunk.length
    return this
  }

  /** The digest of all bytes; ends the digester. */
  digest(): Digest {
    return `${this.algorithm}:${this.#hash.digest('hex')}` as Digest
  }
}

/** What a stream of content must turn out to be. An absent size is not checked. */
export interface ExpectedContent {
  readonly digest: Digest
  readonly size?: number
}

/**
 * Passes bytes through and fails before the end unless they are the expected content, so that in a `pipeline`
 * nothing downstream sees an end that was not verified. A stream longer than the expected size fails at the
 * first byte too many.
 */
export class DigestVerifier extends Transform {
  readonly #expected: ExpectedContent
  readonly #digester: Digester

  constructor(expected: ExpectedContent) {
    super({ highWaterMark: 1024 * 1024 })
    this.#expected = expected
    this.#digester = new Digester(digestAlgorithm(expected.digest))
  }

  override _transform(chunk: Uint8Array, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#digester.update(chunk)
    const { digest, size } = this.#expected
    if (size !== undefined && this.#digester.size > size)
      done(sizeMismatch(digest, size, `more than ${size}`))
    else done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    const { digest, size } = this.#expected
    if (size !== undefined && this.#digester.size !== size) {
      done(sizeMismatch(digest, size, `${this.#digester.size}`))
      return
    }
    const got = this.#digester.digest()
    done(
      got === digest
        ? null
        : new OciError('digest-mismatch', `Cannot verify content: want ${digest}, got ${got}`, {
            detail: { want: digest, got },
          }),
    )
  }
}

function sizeMismatch(digest: Digest, want: number, got: string): OciError {
  return new OciError('size-mismatch', `Cannot verify content ${digest}: want ${want} bytes, got ${got}`)
}
