import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { probeProgram } from '../builder/exec/probe-program.ts'
import type { Isolation } from './isolation.ts'
import type { Terminal } from './terminal.ts'

/** Whether a build with a RUN works in one way of isolation: undefined, or in its own words why not. */
export type TryBuild = (isolation: Isolation) => Promise<string | undefined>

const DOCKERFILE = 'FROM scratch\nCOPY probe /probe\nRUN ["/probe"]\n'

/**
 * Runs `action` with a way to build for real: with this program, as a process of its own, over the disk of the store.
 * @param storeRoot absolute; a folder that is there
 */
export async function withTrialBuilds<T>(
  storeRoot: string,
  { arch, env, signal }: Terminal,
  action: (tryBuild: TryBuild) => Promise<T>,
): Promise<T> {
  const program = probeProgram(arch)
  if (program === undefined) return action(() => Promise.resolve(`no trial for processors of ${arch}`))
  const context = await mkdtemp(join(tmpdir(), 'slipway-doctor-'))
  const root = await mkdtemp(join(storeRoot, 'doctor-'))
  try {
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE)
    await writeFile(join(context, 'probe'), program, { mode: 0o755 })
    return await action(isolation =>
      runSlipway(
        // What one way of isolation has done is no result of another.
        ['build', '--no-cache', '--root', root, `--isolation=${isolation}`, '--progress=plain', context],
        env,
        signal,
      ),
    )
  } finally {
    await rm(context, { recursive: true })
    await rm(root, { recursive: true })
  }
}

/** Undefined when it ended well, else the error that it printed. */
async function runSlipway(
  args: readonly string[],
  env: Terminal['env'],
  signal: AbortSignal,
): Promise<string | undefined> {
  const [main = ''] = process.argv.slice(1)
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
    env: { ...env, CI: '', GITHUB_ACTIONS: '', GITLAB_CI: '' },
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-MAX_SAID)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code === 0) return undefined
  return /^error: (.*)$/m.exec(said)?.[1] ?? `the build ended with exit code ${code}`
}

const MAX_SAID = 16 * 1024
