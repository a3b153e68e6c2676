import { hash } from 'bcryptjs'

/** @param cost each one more doubles the time */
export function hashPassword(password: string, cost: number): Promise<string> {
  return hash(password, cost)
}
