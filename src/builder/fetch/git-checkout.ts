/** Gets a commit, and its files. Names of the repository reach git only where no option can be. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { type Git, GitError, type GitRun } from './git-program.ts'
import { displayRemote, type GitReference } from './git-reference.ts'
import type { GitCommit } from './git-refs.ts'

export interface Checkout {
  readonly git: Git
  readonly run: GitRun
  /** The bare repository that stays; locked. */
  readonly repository: string
  /** An empty directory. */
  readonly work: string
  readonly format: 'sha1' | 'sha256'
  readonly reference: GitReference
  readonly commit: GitCommit
}

/**
 * Brings the commit into the repository, without its history where the server can do that. Nothing of it is asked for
 * when it is there.
 * @throws GitError
 */
export async function fetchObject({
  git,
  run,
  repository,
  format,
  reference,
  commit,
}: Checkout): Promise<void> {
  const { remote } = reference
  const { id, tagID = id, name } = commit
  await git.run(['init', '--quiet', '--bare', `--object-format=${format}`, repository], run)
  // Of a process that was killed: nobody else is here.
  rmSync(`${repository}/shallow.lock`, { force: true })
  const at = ['--git-dir', repository]
  const isThere = async (): Promise<boolean> =>
    succeeds(git.run([...at, 'cat-file', '-e', `${tagID}^{commit}`], run))
  if (await isThere()) return
  const fetch = (...args: readonly string[]) =>
    git.run([...at, 'fetch', '--quiet', '--no-tags', '--no-write-fetch-head', ...args], run)
  const attempts: readonly (() => Promise<unknown>)[] = [
    () => fetch('--depth=1', '--', remote, tagID),
    ...(name === undefined ? [] : [() => fetch('--depth=1', '--', remote, name)]),
    // Servers of old give what has a name, and all that came before it.
    () => fetch('--', remote, '+refs/*:refs/fetched/*'),
  ]
  let failure: unknown
  for (const attempt of attempts) {
    try {
      await attempt()
      if (await isThere()) return
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      failure ??= error
    }
  }
  throw failure ?? new GitError(`it has no commit ${id}`)
}

export interface CheckedOut {
  readonly directory: string
  /** Of the commit, in seconds since the epoch. */
  readonly mtime: number
}

/** @throws GitError */
export async function checkOut(checkout: Checkout): Promise<CheckedOut> {
  const { git, run, repository, work, format, reference, commit } = checkout
  const directory = `${work}/tree`
  mkdirSync(directory, { mode: 0o700 })
  const inTree: GitRun = { ...run, directory }
  const at = reference.keepGitDir ? [] : ['--git-dir', `${work}/repository`, '--work-tree', directory]
  const inside = (...args: readonly string[]) => git.run([...at, ...args], inTree)
  await inside('init', '--quiet', `--object-format=${format}`)
  if (reference.keepGitDir) await keepRepository(checkout, inTree)
  else {
    mkdirSync(`${work}/repository/objects/info`, { recursive: true })
    writeFileSync(`${work}/repository/objects/info/alternates`, `${repository}/objects\n`)
    // The commit before is not wanted, and need not be there.
    writeFileSync(`${work}/repository/shallow`, `${commit.id}\n`)
  }
  // Submodules may say where they are from here. What is kept of it tells no password.
  const { remote } = reference
  await inside('remote', 'add', '--', 'origin', reference.keepGitDir ? displayRemote(remote) : remote)
  await inside('checkout', '--quiet', '--force', '--detach', commit.id)
  if (reference.submodules && existsSync(`${directory}/.gitmodules`)) {
    const update = (...args: readonly string[]) =>
      inside('submodule', '--quiet', 'update', '--init', '--recursive', ...args)
    if (!(await succeeds(update('--depth=1')))) await update()
  }
  // An index without the times of this checkout: the same files for the same commit.
  if (reference.keepGitDir) {
    await inside('read-tree', 'HEAD')
    await inside('submodule', '--quiet', 'foreach', '--quiet', '--recursive', 'git read-tree HEAD')
  }
  const time = await inside('show', '--no-patch', '--no-notes', '--format=%ct', commit.id)
  return { directory, mtime: Number.parseInt(time, 10) || 0 }
}

/** The `.git` of the image: that one commit by its name. */
async function keepRepository({ git, repository, commit }: Checkout, inTree: GitRun): Promise<void> {
  const { id, tagID = id, name } = commit
  const target = name === undefined ? tagID : `${tagID}:${name}`
  await git.run(['--git-dir', repository, 'config', 'uploadpack.allowAnySHA1InWant', 'true'], inTree)
  await git.run(
    [
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      '--update-head-ok',
      '--depth=1',
      '--',
      `file://${repository}`,
      target,
    ],
    { ...inTree, protocols: 'file' },
  )
}

async function succeeds(running: Promise<unknown>): Promise<boolean> {
  try {
    await running
    return true
  } catch (error) {
    if (error instanceof GitError) return false
    throw error
  }
}
