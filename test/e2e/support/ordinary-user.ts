import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Outcome, type RunOptions, run, succeed } from './process.ts'

const REPOSITORY = join(import.meta.dirname, '../../..')

/** A user of the machine without any privilege, until he is disposed. */
export interface OrdinaryUser extends AsyncDisposable {
  readonly name: string
  /** A folder of his own, to which every path leads. */
  readonly home: string
  /** Our program, where he can reach it. */
  readonly program: string
  /** Copies a folder to a path below `home`; the copy is his, with all modes. */
  copy(from: string, to: string): Promise<void>
  /** Runs our program over his own store, or another program. */
  slipway(args: readonly string[], options?: RunOptions): Promise<Outcome>
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome>
}

/**
 * @param scratch a folder that he may enter; where our program is may be closed to him, so he sees it there as well
 * @param options `subordinateIDs`: he may hand out ids of his own, as users of Debian may
 */
export async function createOrdinaryUser(
  scratch: string,
  { subordinateIDs }: { readonly subordinateIDs: boolean },
): Promise<OrdinaryUser> {
  const name = `slipway-${randomBytes(4).toString('hex')}`
  const home = join(scratch, name)
  const program = join(scratch, `${name}-program`)
  const limits = subordinateIDs ? [] : ['-K', 'SUB_UID_COUNT=0', '-K', 'SUB_GID_COUNT=0']
  await succeed('useradd', ['--no-create-home', '--home-dir', home, ...limits, name])
  await mkdir(home, { mode: 0o755 })
  await mkdir(program)
  // Read-only: who removes the folder above while it is mounted must not remove ours.
  await succeed('mount', ['-o', 'bind,ro', REPOSITORY, program])
  const ids = {
    uid: Number(await succeed('id', ['-u', name])),
    gid: Number(await succeed('id', ['-g', name])),
  }
  await chown(home, ids.uid, ids.gid)

  function runAs(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const identity = [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups']
    return run('setpriv', [...identity, command, ...args], {
      cwd: home,
      ...options,
      env: {
        HOME: home,
        USER: name,
        XDG_DATA_HOME: '',
        XDG_CONFIG_HOME: '',
        XDG_CACHE_HOME: '',
        DOCKER_CONFIG: '',
        SLIPWAY_ROOT: '',
        ...options.env,
      },
    })
  }

  return {
    name,
    home,
    program: join(program, 'bin/slipway'),
    async copy(from, to) {
      // A change of owner would take setuid bits away: he unpacks what he may not be able to read.
      const archive = `${to}.tar`
      const attributes = ['--xattrs', '--xattrs-include=user.*']
      await succeed('tar', [...attributes, '-C', from, '-cf', archive, '.'])
      await mkdir(to)
      await chown(to, ids.uid, ids.gid)
      const { code, stderr } = await runAs('tar', [...attributes, '-C', to, '-xpf', archive])
      assert.equal(code, 0, stderr)
    },
    slipway: (args, options) => runAs(join(program, 'bin/slipway'), args, options),
    run: runAs,
    async [Symbol.asyncDispose]() {
      await run('umount', ['--lazy', program])
      await run('userdel', [name])
    },
  }
}
