import { type AccessRecords, createAccessRecords, type RobotRecord } from '../../store/access-rows.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, usage } from '../command.ts'
import { CliError } from '../errors.ts'
import { openSession } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { parseDuration } from '../text/duration.ts'
import { formatTable } from '../text/table.ts'

export const command: Command = {
  name: 'token',
  summary: 'Manage tokens with which programs use the registry',
  usage: 'create --name NAME --allow ACTION:PATTERN... | list | revoke NAME',
  details: `create   prints a token, this once: the store keeps only a hash of it
list     shows the tokens, what they are good for, and when they were used
revoke   ends a token at once

ACTION is pull, push, delete or *, or several with commas; to push or delete includes to pull. PATTERN is a repository,
team/* (one part below), team/** (everything below) or ** (everything). To log in with a token: any user name, and the
token as the password.`,
  options: {
    name: { value: 'NAME', help: 'Its name, shown in logs as robot$NAME' },
    allow: { value: 'ACTION:PATTERN', repeated: true, help: 'What it may do: push:team/**' },
    expires: { value: 'DURATION', help: 'When it ends: 12h, 30d (default 90d), or never' },
  },
  positionals: { min: 1, max: 2 },
  async run(args, terminal) {
    const [action = '', name, ...rest] = args.positionals
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined
    if (run === undefined)
      throw usage(command, `${JSON.stringify(action)} is not one of ${Object.keys(ACTIONS).join(', ')}`)
    if ((name !== undefined) !== run.takesName || rest.length > 0)
      throw usage(command, `usage: slipway token ${command.usage}`)
    if (action !== 'create' && ['name', 'allow', 'expires'].some(option => args.value(option) !== undefined))
      throw usage(command, '--name, --allow and --expires go with token create')
    using session = await openSession(args, terminal)
    await run.run(createAccessRecords(session.store.disk.database), terminal, args)
  },
}

interface Action {
  readonly takesName: boolean
  run(records: AccessRecords, terminal: Terminal, args: Arguments): Promise<void> | void
}

const ACTIONS: Readonly<Record<string, Action>> = {
  create: { takesName: false, run: createToken },
  list: { takesName: false, run: listTokens },
  revoke: { takesName: true, run: revokeToken },
}

async function createToken(records: AccessRecords, terminal: Terminal, args: Arguments): Promise<void> {
  const name = args.value('name') ?? ''
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name))
    throw usage(command, '--name is needed: up to 63 letters, digits and ._-')
  const allow = args.values('allow')
  if (allow.length === 0)
    throw usage(command, '--allow is needed: what may it do? For example --allow push:team/**')
  const { allowProblem, makeRobotToken } = await import('../../registry/auth/robots.ts')
  for (const text of allow) {
    const problem = allowProblem(text)
    if (problem !== undefined) throw usage(command, `--allow ${JSON.stringify(text)} ${problem}`)
  }
  const now = terminal.now()
  const lifetimeMs = parseLifetime(args.value('expires') ?? '90d')
  const { record, token } = makeRobotToken()
  const robot: RobotRecord = {
    ...record,
    name,
    allow,
    createdAt: now,
    ...(lifetimeMs !== undefined && { expiresAt: now + lifetimeMs }),
  }
  if (!records.addRobot(robot))
    throw new CliError('token-exists', `Cannot create token: there is one of the name ${name}`, {
      hint: `slipway token revoke ${name}`,
    })
  terminal.stdout.write(`${token}\n`)
  terminal.stderr.write(
    `this is shown once; it ${robot.expiresAt === undefined ? 'never ends' : `ends ${formatTime(robot.expiresAt)}`}\n`,
  )
}

function parseLifetime(text: string): number | undefined {
  if (text === 'never') return undefined
  const lifetimeMs = parseDuration(text)
  if (lifetimeMs !== undefined && lifetimeMs > 0) return lifetimeMs
  throw usage(command, `--expires is a duration such as 30d, or never, not ${JSON.stringify(text)}`)
}

function listTokens(records: AccessRecords, { stdout, now }: Terminal): void {
  const rows = records
    .listRobots()
    .map(({ name, allow, expiresAt, usedAt }) => [
      name,
      allow.join(' '),
      expiresAt === undefined ? 'never' : `${formatTime(expiresAt)}${expiresAt <= now() ? ' (over)' : ''}`,
      usedAt === undefined ? 'never' : formatTime(usedAt),
    ])
  stdout.write(formatTable(['NAME', 'ALLOW', 'ENDS', 'LAST USED'], rows))
}

function revokeToken(records: AccessRecords, { stdout }: Terminal, { positionals }: Arguments): void {
  const name = (positionals[1] ?? '').replace(/^robot\$/, '')
  if (!records.removeRobot(name))
    throw new CliError(
      'token-missing',
      `Cannot revoke token: there is none of the name ${JSON.stringify(name)}`,
      {
        hint: "see 'slipway token list'",
      },
    )
  stdout.write(`revoked ${name}\n`)
}

function formatTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
