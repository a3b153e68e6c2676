/**
 * Watches over a step of `--isolation=chroot`: starts it, and when it ends, or our owner does, ends every process that
 * it has left and puts its root filesystem back as it was. In a session of its own, so that what kills the
 * owner, even without warning, leaves no process and no secret behind.
 *
 * Descriptor 3 is a socket of the owner: a line with the plan comes from there, and a line with the end goes back. When the
 * owner closes it, the step is killed.
 */
import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { openPlacements } from '../../builder/exec/chroot-placements.ts'
import type { StepEnd, StepPlan } from '../../builder/exec/chroot-plan.ts'
import { endDescendants } from '../../builder/exec/descendants.ts'
import { removeTree } from '../../builder/snapshot/remove-tree.ts'
import { loadLinux } from '../../linux/linux.ts'
import { loadProcessCalls } from '../../linux/process-calls.ts'

const owner = new Socket({ fd: 3, readable: true, writable: true })
owner.on('error', () => owner.destroy())
const lines = createInterface({ input: owner })
const left = new Promise<void>(resolve => lines.once('close', resolve))
// Both are for the step, or its shell; we end when it does.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined)

void main()

async function main(): Promise<void> {
  const first = await Promise.race([new Promise<string>(resolve => lines.once('line', resolve)), left])
  if (first !== undefined) await watch(JSON.parse(first))
  process.exit(0)
}

async function watch(plan: StepPlan): Promise<void> {
  const linux = await loadLinux()
  const calls = await loadProcessCalls()
  calls.adoptOrphans()
  using placed = openPlacements(linux, plan.placements, plan.trash)
  let end: StepEnd
  try {
    end = await run(plan)
  } finally {
    await endDescendants(process.pid)
    placed.takeBack()
    // Secrets among it: nobody else may be there to remove them.
    await removeTree(plan.trash)
  }
  await new Promise<void>(resolve => owner.end(`${JSON.stringify(end)}\n`, () => resolve()))
}

/** Returns when the first process of the step has ended, or the owner has gone. */
async function run({ launcher, launch, isInteractive }: StepPlan): Promise<StepEnd> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', launcher], {
    stdio: [isInteractive ? 'inherit' : 'ignore', 'inherit', 'inherit', 'pipe'],
    env: {},
    cwd: '/',
  })
  const channel = child.stdio[3] as Socket
  let problem = ''
  channel.setEncoding('utf8').on('data', text => {
    problem += text
  })
  channel.on('error', () => undefined)
  channel.end(JSON.stringify(launch))
  const ended = new Promise<StepEnd>((resolve, reject) => {
    child.once('error', reject)
    // The channel closes when it becomes the step.
    child.once('close', (code, signal) => {
      const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
      resolve(problem === '' ? { exitCode } : { problem })
    })
  })
  return await Promise.race([ended, left.then((): StepEnd => ({ problem: 'the build has ended' }))])
}
