/**
 * Makes `src/oci/layer/deflate/deflate-wasm.ts` of the AssemblyScript beside it: `bin/node scripts/build-deflate.ts`.
 * The result is kept in the repository, since who runs Slipway has no compiler; a test compiles the source again, and
 * compares. Other bytes of layers mean other digests: say so in the change log.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ASSEMBLY, compileAssembly } from './deflate-source.ts'

const binary = await compileAssembly()
const text = `/** Made by scripts/build-deflate.ts: not to be edited. */
export const DEFLATE_WASM =
  '${binary.toString('base64')}'
`
writeFileSync(resolve(ASSEMBLY, '../deflate-wasm.ts'), text)
