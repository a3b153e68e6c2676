const SECRET_WORDS: readonly string[] = [
  'apikey',
  'auth',
  'credential',
  'credentials',
  'key',
  'password',
  'pword',
  'passwd',
  'secret',
  'token',
]

/** Whether a variable of this name is likely to hold a secret: `API_TOKEN`, but not `PUBLIC_KEY`. */
export function isSecretName(name: string): boolean {
  const words = name.toLowerCase().split('_')
  return words.some(word => SECRET_WORDS.includes(word)) && !words.includes('public')
}
