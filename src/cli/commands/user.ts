import { parseRepositoryName } from '../../oci/reference.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, usage } from '../command.ts'
import { loadSettings, type Settings } from '../config/config.ts'
import { CliError } from '../errors.ts'
import { askPassword, readPasswordFromStdin } from '../password-input.ts'
import type { Terminal } from '../terminal.ts'
import { formatTable } from '../text/table.ts'
import { changeUsersFile, readUsersFile } from '../users-file.ts'

export const command: Command = {
  name: 'user',
  summary: 'Manage who may log in to the registry',
  usage: 'add NAME | remove NAME | list | rights NAME REPOSITORY',
  details: `add      makes a user, or gives one another password
remove   takes a user away; a registry that runs knows within a second
list     shows the users and their groups
rights   tells what a user may do to a repository, and which line of the configuration lets them

The users are in a file as 'htpasswd -B' makes them: users.htpasswd in the store, or where [access] of the configuration
says. With the first user 'slipway serve' wants a login: then each user may do everything and others nothing, unless
[access.repositories] says more (docs/configuration.md).`,
  options: {
    'password-stdin': { help: 'Take the password from standard input instead of asking for it' },
  },
  positionals: { min: 1, max: 3 },
  async run(args, terminal) {
    const [action = '', ...rest] = args.positionals
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined
    if (run === undefined)
      throw usage(command, `${JSON.stringify(action)} is not one of ${Object.keys(ACTIONS).join(', ')}`)
    if (rest.length !== run.names.length)
      throw usage(command, `usage: slipway user ${[action, ...run.names].join(' ')}`)
    if (args.flag('password-stdin') && action !== 'add')
      throw usage(command, '--password-stdin goes with user add')
    await run.run(await loadSettings(args, terminal), terminal, rest, args)
  },
}

interface Action {
  readonly names: readonly string[]
  run(settings: Settings, terminal: Terminal, names: readonly string[], args: Arguments): Promise<void>
}

const ACTIONS: Readonly<Record<string, Action>> = {
  add: { names: ['NAME'], run: addUser },
  remove: { names: ['NAME'], run: removeUser },
  list: { names: [], run: listUsers },
  rights: { names: ['NAME', 'REPOSITORY'], run: showRights },
}

/** bcrypt reads no further, so what comes after would not be asked for. */
const MAX_PASSWORD_BYTES = 72
/** About a tenth of a second. */
const COST = 10

async function addUser(
  settings: Settings,
  terminal: Terminal,
  [name = '']: readonly string[],
  args: Arguments,
): Promise<void> {
  const { access, root } = settings
  const { changeHtpasswd, userNameProblem } = await import('../../registry/auth/htpasswd.ts')
  const problem = userNameProblem(name) ?? (/\s/.test(name) ? 'holds a space' : undefined)
  if (problem !== undefined) throw usage(command, `the name ${JSON.stringify(name)} ${problem}`)
  const password = args.flag('password-stdin')
    ? await readPasswordFromStdin(terminal)
    : await askTwice(terminal, name)
  requireUsable(password)
  const { hashPassword } = await import('../../registry/auth/hash-password.ts')
  const hash = await hashPassword(password, COST)
  // The folder of a new store is the store's to make.
  const { openStore } = await import('../../store/open.ts')
  using _ = await openStore({ root, now: terminal.now })
  const before = await usersBefore(access.usersFile)
  await changeUsersFile(access.usersFile, text => changeHtpasswd(text, name, hash))
  terminal.stdout.write(`${before.has(name) ? 'new password for' : 'added'} ${name} in ${access.usersFile}\n`)
  if (before.size === 0 && access.rights.repositories === undefined)
    terminal.stderr.write("'slipway serve' wants a login from now on; each user may do everything\n")
}

/** A user whose hash is not taken any more can be given another; the rest of the file is none of our business here. */
async function usersBefore(path: string): Promise<ReadonlyMap<string, string>> {
  const { RegistryError } = await import('../../registry/errors.ts')
  try {
    return (await readUsersFile(path)).users
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'users-invalid') return new Map()
    throw error
  }
}

async function askTwice(terminal: Terminal, name: string): Promise<string> {
  const password = await askPassword(terminal, `Password of ${name}: `)
  if (password === (await askPassword(terminal, 'Again: '))) return password
  throw new CliError('usage', 'Cannot set password: it was not typed the same twice')
}

function requireUsable(password: string): void {
  const problem =
    password === ''
      ? 'it is empty'
      : password.includes('\0')
        ? 'it holds a NUL'
        : Buffer.byteLength(password) > MAX_PASSWORD_BYTES
          ? `it is longer than ${MAX_PASSWORD_BYTES} bytes, the most that bcrypt reads`
          : password.startsWith('slipway_')
            ? 'it begins as tokens of robots do'
            : undefined
  if (problem !== undefined) throw new CliError('usage', `Cannot set password: ${problem}`)
}

async function removeUser(
  { access }: Settings,
  { stdout }: Terminal,
  [name = '']: readonly string[],
): Promise<void> {
  const { changeHtpasswd } = await import('../../registry/auth/htpasswd.ts')
  let isFound = false
  await changeUsersFile(access.usersFile, text => {
    const changed = changeHtpasswd(text, name, undefined)
    isFound = changed !== text
    return changed
  })
  if (!isFound) throw unknownUser(name, access.usersFile)
  stdout.write(`removed ${name} from ${access.usersFile}\n`)
}

async function listUsers({ access }: Settings, { stdout }: Terminal): Promise<void> {
  const { users } = await readUsersFile(access.usersFile)
  const groupsOf = (name: string): string =>
    Object.entries(access.rights.groups)
      .filter(([, members]) => members.includes(name))
      .map(([group]) => group)
      .join(', ')
  const rows = [...users.keys()].sort().map(name => [name, groupsOf(name)])
  stdout.write(formatTable(['NAME', 'GROUPS'], rows))
}

async function showRights(
  { access }: Settings,
  { stdout }: Terminal,
  [name = '', repository = '']: readonly string[],
): Promise<void> {
  const { users } = await readUsersFile(access.usersFile)
  if (name !== 'anonymous' && !users.has(name)) throw unknownUser(name, access.usersFile)
  const { ACTIONS, createRights } = await import('../../registry/auth/rights.ts')
  const rights = createRights(access.rights)
  const principal =
    name === 'anonymous' ? ({ kind: 'anonymous' } as const) : ({ kind: 'user', name } as const)
  const rows = ACTIONS.map(action => {
    const reasons = rights.reasons(principal, action, parseRepositoryName(repository))
    const lines = reasons.map(({ pattern, who, actions }) => `"${pattern}": ${who} ${actions.join(',')}`)
    return [action, reasons.length > 0 ? 'yes' : 'no', lines.join('; ')]
  })
  stdout.write(formatTable(['ACTION', 'MAY', 'BECAUSE OF'], rows))
}

function unknownUser(name: string, path: string): CliError {
  return new CliError('user-missing', `Cannot find user ${JSON.stringify(name)} in ${path}`, {
    hint: "see 'slipway user list'",
  })
}
