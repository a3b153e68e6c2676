import { open } from 'node:fs/promises'
import { isErrno } from '../oci/errors.ts'
import { BuildError } from './errors.ts'

/** Where `--secret` says that a secret is. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'value'; readonly value: string }

/** As much as BuildKit takes. */
const MAX_BYTES = 500 * 1024

/**
 * Reads a secret when a step needs it; undefined for one that nobody gave.
 * @throws BuildError `source-missing`, without any of its content
 */
export async function readSecret(
  secrets: ReadonlyMap<string, SecretSource>,
  id: string,
): Promise<Uint8Array | undefined> {
  const source = secrets.get(id)
  if (source === undefined) return undefined
  const content = source.kind === 'value' ? Buffer.from(source.value) : await readBounded(source.path, id)
  if (content.length <= MAX_BYTES) return content
  throw unusable(id, `it has more than ${MAX_BYTES} bytes`)
}

async function readBounded(path: string, id: string): Promise<Uint8Array> {
  try {
    await using file = await open(path)
    const chunks: Buffer[] = []
    for await (const chunk of file.createReadStream({ end: MAX_BYTES, autoClose: false })) chunks.push(chunk)
    return Buffer.concat(chunks)
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw error
    throw unusable(id, 'its file is missing or cannot be read')
  }
}

function unusable(id: string, problem: string): BuildError {
  return new BuildError('source-missing', `Cannot mount secret ${JSON.stringify(id)}: ${problem}`)
}
