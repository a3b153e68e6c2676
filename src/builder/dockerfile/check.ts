import type { Warning } from './instructions.ts'

/** What `# check=skip=A,B;error=true` asks for. */
export interface CheckOptions {
  /** Rules that are not told of; `all` means each. */
  readonly skip: readonly string[]
  /** Whether a warning fails the build. */
  readonly error: boolean
}

/** Reads a check directive; what it does not know has no effect. */
export function parseCheck(text: string | undefined): CheckOptions {
  const options = new Map(
    (text ?? '').split(';').map(option => {
      const [name = '', value = ''] = option.split('=', 2)
      return [name.trim().toLowerCase(), value.trim()]
    }),
  )
  const skip = (options.get('skip') ?? '').split(',').map(rule => rule.trim().toLowerCase())
  return { skip: skip.filter(rule => rule !== ''), error: options.get('error')?.toLowerCase() === 'true' }
}

/** Whether a finding is to be told. A warning without a rule always is. */
export function isChecked({ rule }: Partial<Warning>, { skip }: CheckOptions): boolean {
  return rule === undefined || !(skip.includes('all') || skip.includes(rule.toLowerCase()))
}
