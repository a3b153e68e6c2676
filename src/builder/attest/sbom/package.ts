/** A package that was found in an image. */
export interface FoundPackage {
  readonly name: string
  readonly version: string
  readonly purl: string
  /** As the package's own data names it. */
  readonly license?: string
  /** What told of it: a path without the leading `/`. */
  readonly evidence: string
}

/** What is read of a list of packages, however long it is. */
export const MAX_PACKAGES_PER_FILE = 100_000
const MAX_NAME = 300
const MAX_LICENSE = 2000

/** The package, or nothing for what is none: texts come from files that anybody may have written. */
export function foundPackage(
  given: Omit<FoundPackage, 'license'> & { readonly license?: string | undefined },
): readonly FoundPackage[] {
  const { license, name, version, ...rest } = given
  if (!isText(name) || name === '' || !isText(version)) return []
  const text = license?.trim().replace(/\s+/g, ' ')
  const isTold = text !== undefined && text !== '' && text.length <= MAX_LICENSE
  return [{ ...rest, name, version, ...(isTold && { license: text.toWellFormed() }) }]
}

function isText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return text.length <= MAX_NAME && !/[\u0000-\u001f\u007f]/.test(text)
}
