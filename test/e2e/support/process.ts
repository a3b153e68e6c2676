import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: string | Uint8Array
  /** Ends the program, and so the test, when it hangs. */
  readonly timeoutMs?: number
}

/** Runs a program to its end, whatever that is. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 300_000)
    child.stdout.on('data', chunk => stdout.push(chunk))
    child.stderr.on('data', chunk => stderr.push(chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({
        code,
        signal,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      })
    })
    // A program that ends without reading its input is no failure of the test.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input)
  })
}

/** Runs a program that must succeed; returns what it printed. */
export async function succeed(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, signal, stdout, stderr } = await run(command, args, options)
  assert.equal(code, 0, `${command} ${args.join(' ')}\nended with ${code ?? signal}\n${stdout}\n${stderr}`)
  return stdout
}

const PATH = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

export function findProgram(name: string): string | undefined {
  return PATH.map(folder => join(folder, name)).find(isExecutable)
}

/** The program's path; a missing one skips the test by name, and fails it in CI, where the set-up installs all. */
export function requireProgram(t: TestContext, name: string): string | undefined {
  const found = findProgram(name)
  if (found === undefined) miss(t, `${name} is not installed`)
  return found
}

/** Skips a test that only root can run; CI is root. */
export function requireRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true
  miss(t, 'it needs root')
  return false
}

function miss(t: TestContext, reason: string): void {
  if (process.env.CI === 'true') assert.fail(`cannot run in CI: ${reason}`)
  t.skip(reason)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
