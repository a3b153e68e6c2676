/** Names and numbers of users, by an image's own `/etc/passwd` and `/etc/group`: hostile files, read with bounds. */
import { byteStringOf } from '../../oci/byte-string.ts'
import { BuildError } from '../errors.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'

/** Who a process of the image runs as. */
export interface ResolvedUser {
  readonly uid: number
  readonly gid: number
  /** The primary group first. */
  readonly additionalGids: readonly number[]
}

export interface Owner {
  readonly uid: number
  readonly gid: number
  /** What names nobody: no such user is 0, no such group leaves that of the user, as BuildKit has it. */
  readonly unknown: readonly string[]
}

const MAX_FILE_BYTES = 8 * 1024 * 1024
const MAX_LINE_LENGTH = 64 * 1024
/** As many as the kernel takes (NGROUPS_MAX). */
const MAX_GROUPS = 65_536
const MAX_ID = 0xffff_fffe

/**
 * Who `USER` means, by the tree's `/etc/passwd` and `/etc/group`. `text` is the config's `User`: empty (root),
 * `user` or `user:group`, names or numbers. With a group it is the only one; without, a user that is listed has the
 * groups of the listing, and a number that is not has group 0. The empty user is root by number: nobody looks for its
 * groups, and no layer is read for it.
 * @throws BuildError `user-unknown` for a name that is not there
 */
export async function resolveUser(tree: FileTree, text: string): Promise<ResolvedUser> {
  if (text === '') return { uid: 0, gid: 0, additionalGids: [0] }
  const [userText = '', groupText = ''] = splitOnce(text)
  const passwd = await readPasswd(tree)
  const number = parseID(userText === '' ? '0' : userText)
  const entry = passwd.find(({ name, uid }) => (userText !== '' && name === userText) || uid === number)
  const uid = entry?.uid ?? number
  if (uid === undefined) throw unknown('user', userText, '/etc/passwd')
  if (groupText !== '') {
    const gid = await resolveGroup(tree, groupText)
    return { uid, gid, additionalGids: [gid] }
  }
  const gid = entry?.gid ?? 0
  if (entry === undefined) return { uid, gid, additionalGids: [0] }
  const groups = await readGroups(tree)
  const supplementary = groups.filter(group => group.members.includes(entry.name)).map(group => group.gid)
  return { uid, gid, additionalGids: [...new Set([gid, ...supplementary])].slice(0, MAX_GROUPS) }
}

/**
 * Whom `--chown=text` means: a number is itself (and the group of the same number, unless a group follows), a name is
 * looked up. After a colon nothing is group 0. Asks for the tree only to look up names.
 * @throws BuildError `user-unknown` for files of users that are out of bounds
 */
export async function resolveOwner(openTree: () => Promise<FileTree>, text: string): Promise<Owner> {
  const [userText = '', groupText] = splitOnce(text)
  const missing: string[] = []
  let uid = ownerID(userText === '' ? '0' : userText)
  let gid = uid
  if (uid === undefined) {
    const entry = (await readPasswd(await openTree())).find(({ name }) => name === userText)
    if (entry === undefined) missing.push(userText)
    uid = entry?.uid ?? 0
    gid = entry?.gid ?? 0
  }
  if (groupText === '') gid = 0
  else if (groupText !== undefined) {
    const listed = ownerID(groupText) ?? (await findGroup(openTree, groupText))
    if (listed === undefined) missing.push(groupText)
    gid = listed ?? gid
  }
  return { uid, gid: gid ?? 0, unknown: missing }
}

/** A number that nobody can have names nobody. */
function ownerID(text: string): number | undefined {
  return /^[0-9]+$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined
}

async function findGroup(openTree: () => Promise<FileTree>, wanted: string): Promise<number | undefined> {
  return (await readGroups(await openTree())).find(({ name }) => name === wanted)?.gid
}

async function resolveGroup(tree: FileTree, text: string): Promise<number> {
  const number = parseID(text)
  const entry = (await readGroups(tree)).find(({ name, gid }) => name === text || gid === number)
  const gid = entry?.gid ?? number
  if (gid === undefined) throw unknown('group', text, '/etc/group')
  return gid
}

function splitOnce(text: string): readonly string[] {
  const colon = text.indexOf(':')
  return colon === -1 ? [text] : [text.slice(0, colon), text.slice(colon + 1)]
}

/** Undefined for what is not a number. @throws BuildError `user-unknown` for one that no user can have */
function parseID(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined
  const id = Number(text)
  if (id <= MAX_ID) return id
  throw new BuildError('user-unknown', `Cannot use ID ${text.slice(0, 40)}: more than ${MAX_ID}`)
}

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

async function readPasswd(tree: FileTree): Promise<readonly PasswdEntry[]> {
  const entries: PasswdEntry[] = []
  for (const [name = '', , uid, gid] of await readRows(tree, '/etc/passwd')) {
    const ids = [listedID(uid), listedID(gid)]
    if (ids[0] !== undefined && ids[1] !== undefined) entries.push({ name, uid: ids[0], gid: ids[1] })
  }
  return entries
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

async function readGroups(tree: FileTree): Promise<readonly GroupEntry[]> {
  const entries: GroupEntry[] = []
  for (const [name = '', , gidText, members = ''] of await readRows(tree, '/etc/group')) {
    const gid = listedID(gidText)
    if (gid !== undefined)
      entries.push({ name, gid, members: members.split(',').map(member => member.trim()) })
  }
  return entries
}

/** A line whose numbers are none is no entry. */
function listedID(text: string | undefined): number | undefined {
  const id = text !== undefined && /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined
  return id !== undefined && id <= MAX_ID ? id : undefined
}

/** Fields of the lines. No rows where there is no such file. @throws BuildError `user-unknown` for a file out of bounds */
async function readRows(tree: FileTree, path: string): Promise<readonly (readonly string[])[]> {
  const resolved = await resolvePath(tree, byteStringOf(path))
  const node = resolved === undefined ? undefined : await tree.stat(resolved)
  if (resolved === undefined || node?.type !== 'file') return []
  if (node.size > MAX_FILE_BYTES)
    throw new BuildError('user-unknown', `Cannot look up user: ${path} of the image has ${node.size} bytes`)
  const content = await tree.open(resolved)
  const chunks: Uint8Array[] = []
  if (content instanceof Uint8Array) chunks.push(content)
  else for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
    .toString('utf8')
    .split('\n')
    .filter(line => line.length <= MAX_LINE_LENGTH && line.trim() !== '' && !line.startsWith('#'))
    .map(line => line.trim().split(':'))
}

function unknown(what: 'user' | 'group', name: string, file: string): BuildError {
  return new BuildError(
    'user-unknown',
    `Cannot find ${what} ${JSON.stringify(name)}: not in ${file} of the image`,
    { detail: { name } },
  )
}
