import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { succeed } from './process.ts'

const FOLDER = join(import.meta.dirname, '../../../fixtures/dockerfile')

/** One folder of fixtures/dockerfile; its README.md tells what the files mean. */
export interface Case {
  readonly name: string
  /** Of `build`, ours and the engine's. */
  readonly options: readonly string[]
  /** What is asked of it; see README.md. */
  readonly kind: 'image' | 'expected' | 'refused' | 'check'
  /** `error.txt`: what our error says, each somewhere. */
  readonly errors: readonly string[]
  /** `expected.json`, where the result is written when it is made anew. */
  readonly expectedFile: string
  /** Makes the build context, in a folder that is not there yet. */
  prepare(context: string): Promise<void>
}

export function readCases(): readonly Case[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => readCase(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readCase(name: string): Case {
  const folder = join(FOLDER, name)
  const has = (file: string): boolean => existsSync(join(folder, file))
  const lines = (file: string): readonly string[] =>
    has(file) ? readFileSync(join(folder, file), 'utf8').trim().split('\n') : []
  const kinds = { 'expected.json': 'expected', 'error.txt': 'refused', check: 'check' } as const
  const [kind = 'image', ...more] = Object.entries(kinds).flatMap(([file, kind]) => (has(file) ? [kind] : []))
  if (more.length > 0) throw new Error(`${name} is ${kind} and ${more.join(' and ')} at once`)
  const ours = [...Object.keys(kinds), 'arguments']
  return {
    name,
    kind,
    options: lines('arguments'),
    errors: lines('error.txt'),
    expectedFile: join(folder, 'expected.json'),
    async prepare(context) {
      cpSync(folder, context, {
        recursive: true,
        filter: source => !ours.some(file => source === join(folder, file)),
      })
      if (has('setup.sh')) await succeed('sh', ['./setup.sh'], { cwd: context })
    },
  }
}
