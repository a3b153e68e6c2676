/**
 * Makes `src/oci/layer/deflate/deflate-wasm.ts` of the AssemblyScript beside it: `bin/node scripts/build-deflate.ts`.
 * The result is kept in the repository, since nothing else needs the compiler, which is large; a test tells when the
 * source has changed since. Other bytes of layers mean other digests: say so in the change log.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ASSEMBLY, digestOfAssembly } from './deflate-source.ts'

const COMPILER = 'assemblyscript@0.28.20'
const OPTIONS = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--disableWarning', '201']
/** 2 MiB, and the tables of the source where `memory.ts` leaves room for them. */
const MEMORY = ['--initialMemory', '32', '--maximumMemory', '32', '--memoryBase', '24576']

const folder = mkdtempSync(join(tmpdir(), 'slipway-deflate-'))
try {
  const binary = join(folder, 'deflate.wasm')
  const command = ['--yes', '--package', COMPILER, 'asc', join(ASSEMBLY, 'deflate.ts'), '-o', binary]
  execFileSync('npx', [...command, ...OPTIONS, ...MEMORY], { stdio: 'inherit' })
  const text = `/** Made by scripts/build-deflate.ts: not to be edited. */
export const DEFLATE_SOURCE = '${digestOfAssembly()}'
export const DEFLATE_WASM =
  '${readFileSync(binary).toString('base64')}'
`
  writeFileSync(resolve(ASSEMBLY, '../deflate-wasm.ts'), text)
} finally {
  rmSync(folder, { recursive: true })
}
