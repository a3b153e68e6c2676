/** Texts that name a Git repository, as BuildKit tells them from paths and other URLs. */
import { parseGoBoolean } from '../dockerfile/go-boolean.ts'
import { BuildError } from '../errors.ts'
import { percentDecoded } from './percent-decoded.ts'

/** A commit of a repository, and what is wanted of it. */
export interface GitReference {
  /** A URL, or `user@host:path`: what git takes. It may carry a password. */
  readonly remote: string
  /** A commit, a branch, a tag or a full name such as `refs/pull/1/head`; empty for the default branch. */
  readonly ref: string
  /** Empty for all. */
  readonly subdirectory: string
  /** The commit, or how it begins, in hex. */
  readonly checksum?: string
  readonly keepGitDir: boolean
  readonly submodules: boolean
}

const SCP_LIKE = /^[a-z0-9_][a-z0-9_-]*@[a-z0-9][a-z0-9.-]*:/i
const SCHEME = /^(?:https?|git|ssh):\/\//i
/**
 * One host for whoever reads the URL. We choose by it which secrets go along, and git where they go: of `good\@evil` and
 * the like the two have different opinions.
 */
const HAS_PLAIN_HOST = /^[a-z]+:\/\/(?:[^/@\\]*@)?(?:[\w.-]+|\[[\da-f:.]+\])(?::\d*)?(?:\/[^\\]*)?$/i

/**
 * The repository that a source of ADD or a context names: any URL of `git` or `ssh`, `user@host:path`, and a URL of
 * `http` or `https` whose path ends with `.git`. Undefined for anything else. What is wanted of it follows as
 * `#ref:directory` or as `?branch=`, `tag=`, `ref=`, `commit=` (or `checksum=`), `subdir=`, `keep-git-dir=`, `submodules=`.
 * @throws BuildError `dockerfile-invalid` for a query that says anything else, or two things at once
 */
export function parseGitReference(text: string): GitReference | undefined {
  const isURL = SCHEME.test(text)
  if (!isURL && !SCP_LIKE.test(text)) return undefined
  const [, remote = '', query = '', fragment = ''] = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? []
  if (isURL) {
    const url = URL.parse(remote)
    if (url === null || url.hostname === '' || url.hostname.startsWith('-')) return undefined
    if (url.protocol.startsWith('http') && !url.pathname.endsWith('.git')) return undefined
    if (!HAS_PLAIN_HOST.test(remote))
      throw new BuildError(
        'dockerfile-invalid',
        `Cannot read ${displayRemote(remote)}: its host is not plain`,
        {
          hint: 'write @ and \\ of a user or password as %40 and %5C, and a host in ASCII',
        },
      )
  }
  if (/[\p{Cc}\s]/u.test(remote)) return undefined
  return withQuery({ remote, ...splitFragment(isURL ? percentDecoded(fragment) : fragment) }, query)
}

/** The same for a context, which may also be written `github.com/owner/name`. */
export function parseGitContext(text: string): GitReference | undefined {
  if (!text.startsWith('github.com/')) return parseGitReference(text)
  const [, path = '', wanted = ''] = /^([^?#]*)(.*)$/s.exec(text) ?? []
  return parseGitReference(`https://${path.replace(/(?:\.git)?\/?$/, '.git')}${wanted}`)
}

/**
 * Whether a build context is elsewhere: a repository, or a URL.
 * @throws BuildError `dockerfile-invalid` for one that names a Git repository and says nonsense of it
 */
export function isRemoteContext(location: string): boolean {
  return /^https?:\/\//i.test(location) || parseGitContext(location) !== undefined
}

/** For people: without secrets. */
export function displayContext(location: string): string {
  return displayRemote(location).replace(/\?[^#]*/, '')
}

/** For messages and keys: without user and password. */
export function displayRemote(remote: string): string {
  return remote.replace(/^([a-z]+:\/\/)[^/]*@/i, '$1')
}

/** A text that may hold URLs, for logs and images: users and passwords of http(s), and passwords of all, are masked. */
export function maskCredentials(text: string): string {
  return text
    .replaceAll(/\b([a-z]+:\/\/)[^/@\s:]*:[^/\s]*@/gi, '$1xxxxx:xxxxx@')
    .replaceAll(/\b(https?:\/\/)[^/@\s:]+@/gi, '$1xxxxx@')
}

/** Whole, as git writes them: SHA-1 or SHA-256. */
export function isCommitID(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)
}

type Draft = Pick<GitReference, 'remote' | 'ref' | 'subdirectory'>

function splitFragment(fragment: string): Pick<Draft, 'ref' | 'subdirectory'> {
  const colon = fragment.indexOf(':')
  return colon < 0
    ? { ref: fragment, subdirectory: '' }
    : { ref: fragment.slice(0, colon), subdirectory: fragment.slice(colon + 1) }
}

const SWITCHES: readonly string[] = ['keep-git-dir', 'submodules']
const QUERIES: readonly string[] = ['ref', 'tag', 'branch', 'subdir', 'checksum', 'commit', ...SWITCHES]

function withQuery(draft: Draft, query: string): GitReference {
  const refuse = (problem: string) =>
    new BuildError('dockerfile-invalid', `Cannot read ${displayRemote(draft.remote)}: ${problem}`)
  const said = new Map<string, string>()
  for (const [key, value] of new URLSearchParams(query)) {
    if (!QUERIES.includes(key))
      throw refuse(`its query has ${JSON.stringify(key)}, which is none of ${QUERIES.join(', ')}`)
    if (said.has(key)) throw refuse(`its query says ${key} twice`)
    if (value === '' && !SWITCHES.includes(key)) throw refuse(`${key} in its query has no value`)
    said.set(key, value)
  }
  /** The one value that all of them have. */
  const agreed = (what: string, ...values: readonly (string | undefined)[]): string => {
    const distinct = [...new Set(values.filter(value => value !== undefined && value !== ''))]
    if (distinct.length > 1) throw refuse(`it says two ${what}: ${distinct.join(' and ')}`)
    return distinct[0] ?? ''
  }
  const isOn = (key: string, otherwise: boolean): boolean => {
    const value = said.get(key)
    if (value === undefined) return otherwise
    const read = value === '' ? true : parseGoBoolean(value)
    if (read !== undefined) return read
    throw refuse(`${key} is ${JSON.stringify(value)}, not true or false`)
  }
  const checksum = agreed('commits', said.get('checksum'), said.get('commit'))
  const full = (name: string | undefined, prefix: string): string | undefined =>
    name === undefined || name.startsWith(prefix) ? name : `${prefix}${name}`
  const ref = agreed(
    'refs',
    draft.ref,
    said.get('ref'),
    full(said.get('tag'), 'refs/tags/'),
    full(said.get('branch'), 'refs/heads/'),
  )
  return {
    remote: draft.remote,
    ref: ref === '' ? checksum : ref,
    subdirectory: agreed('directories', draft.subdirectory, said.get('subdir')),
    ...(checksum !== '' && { checksum }),
    keepGitDir: isOn('keep-git-dir', false),
    submodules: isOn('submodules', true),
  }
}
