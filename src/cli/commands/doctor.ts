import type { Finding } from '../../builder/doctor/finding.ts'
import type { Privileges } from '../../builder/doctor/privileges.ts'
import { firstFreeID, subordinateIDs } from '../../linux/subordinate-ids.ts'
import { readSystemFile } from '../../linux/system-file.ts'
import type { Command } from '../command.ts'
import { withTrialBuilds } from '../doctor-trial.ts'
import { CliError } from '../errors.ts'
import { FORMAT_OPTION, wantsJson } from '../format-option.ts'
import type { Isolation } from '../isolation.ts'
import { openSession } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { printableLine } from '../text/printable.ts'

export const command: Command = {
  name: 'doctor',
  summary: 'Show what builds can do on this machine',
  usage: '[OPTIONS]',
  details: `Tries out what a RUN needs, tells what is missing, what that means for a build, and the one line that mends it.
Ends with 0 when a RUN works here, whether in containers or by chroot alone, else with 1.`,
  options: { format: FORMAT_OPTION },
  positionals: { min: 0, max: 0 },
  async run(args, terminal) {
    const json = wantsJson(command, args)
    using session = await openSession(args, terminal)
    const { examine } = await import('../../builder/doctor/examine.ts')
    const { root } = session.store
    const findings = await examine({
      privileges: privilegesOf(terminal),
      storeRoot: root,
      path: terminal.env.PATH ?? '',
      hostPlatform: session.hostPlatform,
    })
    const trials = await withTrialBuilds(root, terminal, async tryBuild => [
      await trial('oci', tryBuild),
      await trial('chroot', tryBuild),
    ])
    if (json) terminal.stdout.write(`${JSON.stringify({ findings, trials }, null, 2)}\n`)
    else terminal.stdout.write(`${findings.map(formatFinding).join('')}\n${trials.map(formatTrial).join('')}`)
    if (trials.every(({ works }) => !works))
      throw new CliError('run-impossible', 'Cannot run steps on this machine', {
        hint: 'all but RUN works: COPY, ADD, multi-stage builds, pull, push and serve',
      })
  },
}

interface Trial {
  readonly isolation: Isolation
  readonly works: boolean
  readonly problem?: string
}

async function trial(
  isolation: Isolation,
  tryBuild: (isolation: Isolation) => Promise<string | undefined>,
): Promise<Trial> {
  const problem = await tryBuild(isolation)
  return { isolation, works: problem === undefined, ...(problem !== undefined && { problem }) }
}

function privilegesOf({ userID, namespace }: Terminal): Privileges {
  const userName = nameOf(userID)
  const problem = namespace?.kind === 'refused' ? namespace.problem : namespace?.singleIDReason
  return {
    uid: userID,
    ...(userName !== undefined && { userName }),
    namespace: namespace?.kind ?? 'none',
    ...(problem !== undefined && { problem }),
    subordinate: subordinateIDs({ name: userName, uid: userID }),
    freeID: firstFreeID(),
  }
}

/** Undefined for who has a number alone. Inside a user namespace the system would name root. */
function nameOf(uid: number): string | undefined {
  const line = (readSystemFile('/etc/passwd') ?? '')
    .split('\n')
    .find(text => text.split(':')[2] === String(uid))
  return line?.split(':')[0]
}

const STATE_WIDTH = 'limited'.length
const SUBJECT_WIDTH = 'root filesystems'.length

function formatFinding({ subject, state, found, meaning, remedy }: Finding): string {
  const indent = ' '.repeat(STATE_WIDTH + SUBJECT_WIDTH + 4)
  return [
    `${state.padEnd(STATE_WIDTH)}  ${subject.padEnd(SUBJECT_WIDTH)}  ${printableLine(found)}`,
    ...(meaning === undefined ? [] : [`${indent}means: ${meaning}`]),
    ...(remedy === undefined ? [] : [`${indent}mended by: ${remedy}`]),
  ]
    .map(line => `${line}\n`)
    .join('')
}

function formatTrial({ isolation, works, problem = '' }: Trial): string {
  return works
    ? `RUN with --isolation=${isolation}: works\n`
    : `RUN with --isolation=${isolation}: does not work: ${printableLine(problem)}\n`
}
