import type { DescriptorProto, EnumDescriptorProto, FileDescriptorSet } from '@bufbuild/protobuf/wkt'

/** Field numbers of descriptor.proto, which the paths of SourceCodeInfo are made of. */
const field = { fileMessage: 4, fileEnum: 5, messageField: 2, messageNested: 3, messageEnum: 4, enumValue: 2 }

/**
 * The comments before messages, fields, enums and their values, as one line each, by full name
 * (`fairlead.v1.Service.port`).
 * @param prefix of the names of the files that are wanted.
 */
export function commentsOf(set: FileDescriptorSet, prefix: string): ReadonlyMap<string, string> {
  const comments = new Map<string, string>()
  for (const file of set.file) {
    if (!file.name.startsWith(prefix)) continue
    const leading = new Map(
      (file.sourceCodeInfo?.location ?? []).map(({ path, leadingComments }) => [path.join('.'), leadingComments]),
    )
    const add = (name: string, path: readonly number[]): void => {
      const comment = leading
        .get(path.join('.'))
        ?.trim()
        .replaceAll(/\s*\n\s*/g, ' ')
      if (comment) comments.set(name, comment)
    }
    const addEnum = (desc: EnumDescriptorProto, scope: string, path: readonly number[]): void => {
      add(`${scope}.${desc.name}`, path)
      for (const [index, value] of desc.value.entries()) {
        add(`${scope}.${desc.name}.${value.name}`, [...path, field.enumValue, index])
      }
    }
    const addMessage = (desc: DescriptorProto, scope: string, path: readonly number[]): void => {
      const name = `${scope}.${desc.name}`
      add(name, path)
      for (const [index, { name: own }] of desc.field.entries()) {
        add(`${name}.${own}`, [...path, field.messageField, index])
      }
      for (const [index, nested] of desc.nestedType.entries()) {
        addMessage(nested, name, [...path, field.messageNested, index])
      }
      for (const [index, nested] of desc.enumType.entries()) addEnum(nested, name, [...path, field.messageEnum, index])
    }
    for (const [index, desc] of file.messageType.entries()) addMessage(desc, file.package, [field.fileMessage, index])
    for (const [index, desc] of file.enumType.entries()) addEnum(desc, file.package, [field.fileEnum, index])
  }
  return comments
}
