/** Finds what the source words of COPY and ADD select. */
import { type ByteString, byteStringOf, displayText } from '../../oci/byte-string.ts'
import { baseName, joinPath } from '../../oci/path.ts'
import { compileNameMatch, hasWildcard } from '../context/match.ts'
import { compilePattern, type Pattern } from '../context/pattern.ts'
import { BuildError } from '../errors.ts'
import type { FileTree, TreeNode } from '../tree/file-tree.ts'
import { resolvePath } from '../tree/resolve.ts'
import { pathBelowRoot } from '../tree/walk.ts'
import type { CopyOrigin, CopySpec } from './copy-spec.ts'
import type { SelectedGit } from './git-source.ts'
import { createPathFilter, type PathFilter } from './path-filter.ts'
import { type SelectedUrl, selectUrl } from './url-source.ts'

/** One file or directory to copy. */
export interface Selected {
  /** What it is called in a destination directory: as the source word has it, not the link's target. */
  readonly name: ByteString
  /** In the tree, symlinks followed. */
  readonly path: ByteString
  readonly node: TreeNode
  /** Of what lies below a directory; all of it by default. */
  readonly filter?: PathFilter
}

export interface SelectedInline {
  readonly name: ByteString
  readonly content: Buffer
}

type SourceSpec = Omit<CopySpec, 'chown' | 'chmod' | 'link'>

export type Selection = Selected | SelectedInline | SelectedUrl | SelectedGit

/**
 * What the words select, in their order; the matches of a wildcard in byte order. A wildcard may match nothing; any
 * other word must.
 * @throws BuildError `source-missing`; `dockerfile-invalid` for a malformed wildcard
 */
export async function selectSources(spec: SourceSpec, tree: FileTree): Promise<readonly Selection[]> {
  const selections: Selection[] = []
  for (const source of spec.sources) {
    if (source.kind === 'heredoc')
      selections.push({ name: inlineName(source.name), content: Buffer.from(source.content, 'utf8') })
    else if (source.kind === 'url') selections.push(selectUrl(source, spec))
    else if (source.kind === 'git')
      selections.push({
        git: source.reference,
        ...(spec.exclude && { filter: createPathFilter({ exclude: spec.exclude }) }),
      })
    else if (spec.parents) selections.push(...(await selectWithParents(source.path, spec, tree)))
    else selections.push(...(await selectPaths(source.path, spec, tree)))
  }
  return selections
}

async function selectPaths(
  word: string,
  { origin, exclude }: SourceSpec,
  tree: FileTree,
): Promise<readonly Selected[]> {
  const filter = exclude && createPathFilter({ exclude })
  const selections: Selected[] = []
  for (const path of await expandWildcards(tree, byteStringOf(pathBelowRoot(word)))) {
    const resolved = await resolvePath(tree, path)
    const node = resolved === undefined ? undefined : await tree.stat(resolved)
    if (resolved === undefined || node === undefined) throw missing(word, path, origin)
    selections.push({ name: baseName(path), path: resolved, node, ...(filter && { filter }) })
  }
  return selections
}

/**
 * Semantics 47: what comes before a `/./` selects directories as any source does; what comes after is a pattern over
 * what lies below them, where no link is followed.
 */
async function selectWithParents(
  word: string,
  { origin, exclude }: SourceSpec,
  tree: FileTree,
): Promise<readonly Selected[]> {
  const pivot = word.indexOf('/./')
  const start = byteStringOf(pathBelowRoot(word.slice(0, Math.max(pivot, 0))))
  const pattern = byteStringOf(pathBelowRoot(word.slice(pivot < 0 ? 0 : pivot + '/./'.length)))
  const filter = createPathFilter({
    ...(pattern !== '' && { include: compileInclude(pattern) }),
    ...(exclude && { exclude }),
  })
  const selections: Selected[] = []
  for (const path of await expandWildcards(tree, start)) {
    const resolved = await resolvePath(tree, path)
    const node = resolved === undefined ? undefined : await tree.stat(resolved)
    if (resolved !== undefined && node?.type === 'directory')
      selections.push({ name: baseName(path), path: resolved, node, filter })
  }
  const [first] = selections
  if (hasWildcard(start)) return selections
  const isThere =
    first !== undefined && (hasWildcard(pattern) || (await tree.stat(joinPath(first.path, pattern))))
  if (!isThere) throw missing(word, joinPath(start, pattern), origin)
  return selections
}

function compileInclude(pattern: ByteString): Pattern {
  const compiled = compilePattern(pattern, 'segment') && compilePattern(pattern, 'ignore')
  if (compiled !== undefined) return compiled
  throw new BuildError(
    'dockerfile-invalid',
    `Cannot match ${JSON.stringify(displayText(pattern))}: the pattern is malformed`,
  )
}

/** A delimiter is any word; the file is named by its last part. */
function inlineName(delimiter: string): ByteString {
  const name = baseName(byteStringOf(pathBelowRoot(delimiter)))
  if (name !== '' && !name.includes('\0')) return name
  throw new BuildError(
    'dockerfile-invalid',
    `Cannot copy heredoc ${JSON.stringify(delimiter)}: no file can have that name`,
  )
}

async function expandWildcards(tree: FileTree, path: ByteString): Promise<readonly ByteString[]> {
  if (!hasWildcard(path)) return [path]
  const segments = path.split('/') as ByteString[]
  const first = segments.findIndex(hasWildcard)
  const start = await resolvePath(tree, segments.slice(0, first).join('/') as ByteString)
  let found: readonly ByteString[] = start === undefined ? [] : [start]
  for (const segment of segments.slice(first)) {
    const matches = compileNameMatch(segment)
    const next: ByteString[] = []
    for (const directory of found) {
      for (const name of await tree.list(directory)) if (matches(name)) next.push(joinPath(directory, name))
    }
    found = next
  }
  return found
}

function missing(word: string, path: ByteString, origin: CopyOrigin): BuildError {
  const isIgnored = origin.kind === 'context' && origin.tree.isIgnored?.(path) === true
  const place = origin.kind === 'context' ? 'the build context' : 'the stage or image that --from names'
  return new BuildError(
    'source-missing',
    `Cannot copy ${JSON.stringify(word)}: not found in ${place}`,
    isIgnored ? { hint: `.dockerignore excludes "${displayText(path)}"` } : {},
  )
}
