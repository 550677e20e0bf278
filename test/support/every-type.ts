import { create } from '@bufbuild/protobuf'
import {
  FieldOptionsSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_field_mask,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt'
import { buildEnvoyApi, type EnvoyApi, readBuiltInFiles } from '../../src/resource/envoy-api.ts'

/** Scalar types by the name that `test.Every` gives its fields: `int32`, `list_int32`, and `map_int32` for those that can be keys. */
export const scalarTypes: Readonly<Record<string, Type>> = {
  double: Type.DOUBLE,
  float: Type.FLOAT,
  int64: Type.INT64,
  uint64: Type.UINT64,
  int32: Type.INT32,
  fixed64: Type.FIXED64,
  fixed32: Type.FIXED32,
  bool: Type.BOOL,
  string: Type.STRING,
  bytes: Type.BYTES,
  uint32: Type.UINT32,
  sfixed32: Type.SFIXED32,
  sfixed64: Type.SFIXED64,
  sint32: Type.SINT32,
  sint64: Type.SINT64,
}

/** Well-known types by the name that `test.Every` gives its fields: `duration`, `list_duration`. */
const messageTypes: Readonly<Record<string, string>> = {
  duration: 'google.protobuf.Duration',
  timestamp: 'google.protobuf.Timestamp',
  mask: 'google.protobuf.FieldMask',
  struct: 'google.protobuf.Struct',
  value: 'google.protobuf.Value',
  list_value: 'google.protobuf.ListValue',
  any: 'google.protobuf.Any',
  empty: 'google.protobuf.Empty',
  bool_value: 'google.protobuf.BoolValue',
  int64_value: 'google.protobuf.Int64Value',
  string_value: 'google.protobuf.StringValue',
  bytes_value: 'google.protobuf.BytesValue',
  self: 'test.Every',
}

const keyTypes = Object.keys(scalarTypes).filter((name) => !['double', 'float', 'bytes'].includes(name))

/** `[(udpa.annotations.sensitive) = true]` */
const sensitive = Object.assign(create(FieldOptionsSchema), {
  $unknown: [{ no: 76_569_463, wireType: 0, data: new Uint8Array([1]) }],
})

/** The built-in API and in it `test.Every`, a message with a field of every type there is. */
export function everyTypeApi(): EnvoyApi {
  let number = 0
  const field = (name: string, type: Type, typeName: string | undefined, label: Label): object => ({
    name,
    jsonName: name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    number: ++number,
    type,
    label,
    ...(typeName && { typeName: `.${typeName}` }),
  })
  const entryName = (name: string): string => `Map${name.charAt(0).toUpperCase()}${name.slice(1)}Entry`
  const wellKnown = ['any', 'duration', 'empty', 'field_mask', 'struct', 'timestamp', 'wrappers']
  const file = {
    name: 'test/every.proto',
    package: 'test',
    syntax: 'proto3',
    dependency: [...wellKnown.map((name) => `google/protobuf/${name}.proto`), 'udpa/annotations/sensitive.proto'],
    enumType: [
      {
        name: 'Color',
        value: [
          { name: 'NONE', number: 0 },
          { name: 'DARK_RED', number: 1 },
          { name: 'BLUE', number: -2 },
        ],
      },
    ],
    messageType: [
      {
        name: 'Every',
        field: [
          ...Object.entries(scalarTypes).flatMap(([name, type]) => [
            field(name, type, undefined, Label.OPTIONAL),
            field(`list_${name}`, type, undefined, Label.REPEATED),
          ]),
          ...Object.entries(messageTypes).flatMap(([name, typeName]) => [
            field(name, Type.MESSAGE, typeName, Label.OPTIONAL),
            field(`list_of_${name}`, Type.MESSAGE, typeName, Label.REPEATED),
          ]),
          field('color', Type.ENUM, 'test.Color', Label.OPTIONAL),
          field('list_color', Type.ENUM, 'test.Color', Label.REPEATED),
          ...keyTypes.map((name) =>
            field(`map_${name}`, Type.MESSAGE, `test.Every.${entryName(name)}`, Label.REPEATED),
          ),
          { ...field('one_text', Type.STRING, undefined, Label.OPTIONAL), oneofIndex: 0 },
          { ...field('one_number', Type.MESSAGE, 'google.protobuf.Int64Value', Label.OPTIONAL), oneofIndex: 0 },
          { ...field('one_struct', Type.MESSAGE, 'google.protobuf.Struct', Label.OPTIONAL), oneofIndex: 0 },
          { ...field('secret', Type.MESSAGE, 'test.Every', Label.OPTIONAL), options: sensitive },
        ],
        oneofDecl: [{ name: 'one' }],
        nestedType: keyTypes.map((name) => ({
          name: entryName(name),
          options: { mapEntry: true },
          field: [
            { name: 'key', jsonName: 'key', number: 1, type: scalarTypes[name], label: Label.OPTIONAL },
            { name: 'value', jsonName: 'value', number: 2, type: Type.STRING, label: Label.OPTIONAL },
          ],
        })),
      },
    ],
  }
  const files = [...readBuiltInFiles().file, file_google_protobuf_field_mask.proto, file]
  return buildEnvoyApi('built-in', create(FileDescriptorSetSchema, { file: files as never }))
}
