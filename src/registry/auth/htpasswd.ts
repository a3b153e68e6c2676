/**
 * The users and their passwords, as Apache's `htpasswd -B` writes them: `NAME:HASH` in lines, `#` begins a comment.
 * Only bcrypt is taken: what else such files hold can be tried out in bulk by whoever gets to see one.
 */
import { RegistryError } from '../errors.ts'

/** Hashes by name. */
export type Users = ReadonlyMap<string, string>

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
/** Above, one login takes seconds. */
const MAX_COST = 15
const MAX_BYTES = 4 * 1024 * 1024

/** @throws RegistryError `users-invalid`, naming the line, never the hash */
export function parseHtpasswd(text: string, path: string): Users {
  if (text.length > MAX_BYTES)
    throw new RegistryError(
      'users-invalid',
      `Cannot read users ${path}: it is larger than ${MAX_BYTES} bytes`,
    )
  const users = new Map<string, string>()
  for (const [index, whole] of text.split('\n').entries()) {
    const line = whole.trim()
    if (line === '' || line.startsWith('#')) continue
    const invalid = (problem: string, hint?: string): RegistryError =>
      new RegistryError('users-invalid', `Cannot read users ${path}:${index + 1}: ${problem}`, {
        ...(hint !== undefined && { hint }),
      })
    const colon = line.indexOf(':')
    if (colon < 0) throw invalid('the line is not NAME:HASH')
    const name = line.slice(0, colon)
    const hash = line.slice(colon + 1)
    const bad = userNameProblem(name)
    if (bad !== undefined) throw invalid(`the name ${JSON.stringify(name.slice(0, 80))} ${bad}`)
    if (users.has(name)) throw invalid(`${JSON.stringify(name)} is there twice`)
    const cost = BCRYPT.exec(hash)?.[1]
    if (cost === undefined)
      throw invalid(
        `the password of ${JSON.stringify(name)} is hashed with ${kindOf(hash)}, and only bcrypt is taken`,
        `set it anew: slipway user add ${name}   (or: htpasswd -B ${path} ${name})`,
      )
    if (Number(cost) < 4 || Number(cost) > MAX_COST)
      throw invalid(
        `the password of ${JSON.stringify(name)} has a bcrypt cost of ${cost}, want 4 to ${MAX_COST}`,
        `set it anew: slipway user add ${name}`,
      )
    users.set(name, hash)
  }
  return users
}

/** The file's text with the user's line put in place, or taken out. Comments and the order stay. */
export function changeHtpasswd(text: string, name: string, hash: string | undefined): string {
  const lines = text.split('\n').filter((line, index, all) => line !== '' || index < all.length - 1)
  const at = lines.findIndex(line => line.trim().startsWith(`${name}:`))
  if (hash === undefined) return at < 0 ? text : lines.toSpliced(at, 1).map(ended).join('')
  const line = `${name}:${hash}`
  return (at < 0 ? [...lines, line] : lines.with(at, line)).map(ended).join('')
}

/** What is wrong with a name: it must not be mistaken for a group, a robot or anybody else. */
export function userNameProblem(name: string): string | undefined {
  if (name === '' || name.length > 128) return 'is empty or longer than 128 characters'
  if (name === 'anonymous') return 'stands for those who have not logged in'
  if (/^[@*]/.test(name) || name.startsWith('robot$')) return 'begins as groups or robots do'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f:]/.test(name)) return 'holds a colon or a control character'
  return undefined
}

function kindOf(hash: string): string {
  if (hash.startsWith('$apr1$') || hash.startsWith('$1$')) return 'MD5'
  if (hash.startsWith('{SHA}')) return 'SHA-1'
  if (hash.startsWith('$5$')) return 'SHA-256'
  if (hash.startsWith('$6$')) return 'SHA-512'
  if (hash.startsWith('$argon2')) return 'Argon2'
  if (hash.startsWith('$2')) return 'a damaged or faulty form of bcrypt'
  return /^[./A-Za-z0-9]{13}$/.test(hash) ? 'the crypt of old Unix' : 'something unknown'
}

function ended(line: string): string {
  return `${line}\n`
}
