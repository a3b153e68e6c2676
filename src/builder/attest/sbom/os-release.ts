/** What distribution an image is of, as os-release(5) says. */
export interface Distribution {
  /** `debian` */
  readonly id: string
  /** `debian-12` */
  readonly label?: string
}

export function parseOsRelease(text: string): Distribution | undefined {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? []
    if (name !== undefined) fields.set(name, value.replace(/^(["'])(.*)\1$/, '$2'))
  }
  const id = fields.get('ID')
  if (id === undefined || !/^[a-z0-9._-]{1,64}$/.test(id)) return undefined
  const version = fields.get('VERSION_ID')
  return { id, ...(version !== undefined && version.length <= 64 && { label: `${id}-${version}` }) }
}
