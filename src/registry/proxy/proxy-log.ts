/** What happens behind the answers. */
export interface ProxyLog {
  info(message: string): void
  /** @param consequence what happens now because of the error */
  problem(consequence: string, error: unknown): void
}
