import type { TarEntryType } from '../../oci/tar/entry.ts'
import { invalid } from './invalid.ts'
import type { SourceSpan } from './source.ts'

/** A change of modes, as chmod(1) takes it. */
export interface ModeChange {
  readonly text: string
  /** The mode (0 to 0o7777) that a file gets. Symlinks keep theirs. */
  change(mode: number, type: TarEntryType): number
}

/**
 * `--chmod` of COPY and ADD: octal, or symbolic like `u=rwX,go=rX` (semantics 36). No umask applies: a clause
 * that names nobody is for all.
 * @throws BuildError `dockerfile-invalid`
 */
export function parseChmod(text: string, span: SourceSpan): ModeChange {
  const octal = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined
  if (octal !== undefined && octal <= 0o7777) return changeOf(text, () => octal)
  const clauses = text.split(',').map(parseClause)
  if (/^\d/.test(text) || clauses.length > MAX_CLAUSES || clauses.includes(undefined))
    throw invalid(
      `Cannot change the mode to ${JSON.stringify(text)}: it is neither octal up to 07777 nor symbolic`,
      span,
      'write --chmod=755 or --chmod=u=rwX,go=rX',
    )
  const steps = clauses.flatMap(clause => clause ?? [])
  return changeOf(text, (mode, isDirectory) =>
    steps.reduce((current, step) => applyStep(current, step, isDirectory || (mode & 0o111) !== 0), mode),
  )
}

const MAX_CLAUSES = 1000

/** Bits of the permissions in all three classes, and the special bits. */
const PERMISSIONS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 }

/** Bits that a class can hold, and where its three permissions lie. */
const CLASSES: Readonly<Record<string, { readonly bits: number; readonly shift: number }>> = {
  u: { bits: 0o4700, shift: 6 },
  g: { bits: 0o2070, shift: 3 },
  o: { bits: 0o1007, shift: 0 },
}

interface Step {
  /** Bits that the named classes hold. */
  readonly who: number
  readonly operator: '+' | '-' | '='
  /** Letters of `rwxXst`, or of `ugo`, whose permissions are copied. */
  readonly letters: readonly string[]
}

function changeOf(text: string, change: (mode: number, isDirectory: boolean) => number): ModeChange {
  return { text, change: (mode, type) => (type === 'symlink' ? mode : change(mode, type === 'directory')) }
}

/** `ug+rx-w`: classes, then one or more operators with their letters. */
function parseClause(clause: string): readonly Step[] | undefined {
  const match = /^([ugoa]*)((?:[+=-][rwxXstugo]*)+)$/.exec(clause)
  if (match === null) return undefined
  const [, classes = '', actions = ''] = match
  const named = classes === '' || classes.includes('a') ? 'ugo' : classes
  const who = Array.from(named).reduce((bits, name) => bits | (CLASSES[name]?.bits ?? 0), 0)
  return Array.from(actions.matchAll(/([+=-])([rwxXstugo]*)/g), ([, operator = '', letters = '']) => ({
    who,
    operator: operator === '+' || operator === '-' ? operator : '=',
    letters: Array.from(letters),
  }))
}

function applyStep(mode: number, step: Step, isSearchable: boolean): number {
  const bits =
    step.letters.reduce((all, letter) => all | letterBits(letter, mode, isSearchable), 0) & step.who
  if (step.operator === '+') return mode | bits
  if (step.operator === '-') return mode & ~bits
  return (mode & ~step.who) | bits
}

function letterBits(letter: string, mode: number, isSearchable: boolean): number {
  if (letter === 'X') return isSearchable ? 0o111 : 0
  const copied = CLASSES[letter]
  if (copied === undefined) return PERMISSIONS[letter] ?? 0
  const permissions = (mode >> copied.shift) & 7
  return (permissions << 6) | (permissions << 3) | permissions
}
