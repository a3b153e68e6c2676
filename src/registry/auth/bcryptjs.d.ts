/** What we use of the package; checks need no more of it. */
declare module 'bcryptjs' {
  export function compareSync(password: string, hash: string): boolean
  export function hash(password: string, cost: number): Promise<string>
  export function hashSync(password: string, cost: number): string
}
