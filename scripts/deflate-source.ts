import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const ASSEMBLY = resolve(import.meta.dirname, '../src/oci/layer/deflate/assembly')

/** Of all that the compiler reads. */
export function digestOfAssembly(): string {
  const hash = createHash('sha256')
  for (const name of readdirSync(ASSEMBLY).sort()) hash.update(readFileSync(join(ASSEMBLY, name)))
  return hash.digest('hex')
}
