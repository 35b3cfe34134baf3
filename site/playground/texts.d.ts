/** The bundler imports manifests as texts. */
declare module '*.yaml' {
  const text: string;
  export default text;
}
