import { resolve } from 'node:path'
import { main } from 'assemblyscript/asc'

export const ASSEMBLY = resolve(import.meta.dirname, '../src/oci/layer/deflate/assembly')

const OPTIONS = ['-O3', '--converge', '--noAssert', '--runtime', 'stub', '--disableWarning', '201']
/** 2 MiB, and the tables of the source where `memory.ts` leaves room for them. */
const MEMORY = ['--initialMemory', '32', '--maximumMemory', '32', '--memoryBase', '24576']

/** The binary of the AssemblyScript; takes some seconds. Every machine makes the same bytes. */
export async function compileAssembly(): Promise<Buffer> {
  let binary: Buffer | undefined
  const { error, stderr } = await main(
    ['deflate.ts', '--baseDir', ASSEMBLY, '-o', 'deflate.wasm', ...OPTIONS, ...MEMORY],
    {
      writeFile(_, contents) {
        binary = Buffer.from(contents)
      },
    },
  )
  if (error === null && binary !== undefined) return binary
  throw new Error(`Cannot compile the deflate:\n${stderr}`, { cause: error })
}
