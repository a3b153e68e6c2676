/** What one look at this machine has shown. */
export interface Finding {
  /** What was looked at, such as `control groups`. */
  readonly subject: string
  /** Whether builds have what they want of it: all, some, or nothing. */
  readonly state: 'good' | 'limited' | 'missing'
  /** What is there, in one line. */
  readonly found: string
  /** What builds lack without the rest. */
  readonly meaning?: string
  /** The one line that mends it: a command, or what to do. */
  readonly remedy?: string
}
