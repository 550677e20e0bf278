/** PEM, and the base64 of PEM that holds no certificate. */
const privateKey = /PRIVATE KEY|LS0tLS1CRUdJTi(?!BDRVJU)/

/** Whether a private key could stand in a text, where nothing but its looks can tell: in a comment, or in a part of a Patch. */
export function looksLikePrivateKey(text: string): boolean {
  return privateKey.test(text)
}
