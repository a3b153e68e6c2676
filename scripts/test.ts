/**
 * `npm test`: the static checks, then every test. `bin/node scripts/test.ts PART...` runs parts of it:
 * static, unit (which takes suites, hostile and fuzz along), e2e.
 *
 * In CI (`CI=true`) a skipped test is a failure: there, every tool is installed by the set-up.
 */
import { type SpawnOptions, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

interface Counts {
  pass: number
  fail: number
  skipped: number
}

const root = join(import.meta.dirname, '..')
const bin = join(root, 'node_modules', '.bin')
const parts = process.argv.slice(2)
const wants = (part: string): boolean => parts.length === 0 || parts.includes(part)

let failed = false
const total: Counts = { pass: 0, fail: 0, skipped: 0 }

if (wants('static')) {
  await check('lint and format', join(bin, 'biome'), ['ci', '--error-on-warnings', '--colors=off', '.'])
  await check('types', join(bin, 'tsc'), [])
}
if (wants('unit')) await test(['unit', 'suites', 'hostile', 'fuzz'], 2)
// One at a time: each starts engines and servers of its own.
if (wants('e2e')) await test(['e2e'], 1)

console.log(`total: ${total.pass} passed, ${total.fail} failed, ${total.skipped} skipped`)
if (process.env.CI === 'true' && total.skipped > 0) {
  console.log(
    'A test was skipped, which in CI is a failure: every tool is to be installed by scripts/setup.sh.',
  )
  failed = true
}
process.exitCode = failed ? 1 : 0

async function check(what: string, command: string, args: readonly string[]): Promise<void> {
  const code = await run(command, args, { stdio: 'inherit' })
  console.log(`${code === 0 ? '✔' : '✖'} ${what}`)
  if (code !== 0) failed = true
}

async function test(folders: readonly string[], concurrency: number): Promise<void> {
  const files = folders.flatMap(folder => testFiles(join(root, 'test', folder)))
  if (files.length === 0) return
  let output = ''
  const args = ['--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec', ...files]
  const code = await run(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
    chunk => {
      process.stdout.write(chunk)
      output = (output + chunk.toString()).slice(-4096)
    },
  )
  for (const name of Object.keys(total) as (keyof Counts)[]) {
    total[name] += Number(output.match(new RegExp(`^ℹ ${name} (\\d+)$`, 'm'))?.[1] ?? 0)
  }
  if (code !== 0) failed = true
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts'))
    .sort()
    .map(name => join(folder, name))
}

function run(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
  onOutput?: (chunk: Buffer) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, ...options })
    child.stdout?.on('data', onOutput ?? (() => undefined))
    child.on('error', reject)
    child.on('close', code => resolve(code ?? 1))
  })
}
