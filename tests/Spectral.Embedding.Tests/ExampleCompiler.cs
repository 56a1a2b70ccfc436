using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Spectral.Kernels;
using Spectral.Training;

namespace Spectral.Embedding.Tests;

/// <summary>
/// Compiles the code of documents as a program that embeds the libraries: with implicit usings, all namespaces of the
/// libraries, and a few names that examples use without making them.
/// </summary>
internal static class ExampleCompiler
{
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private const string Given = """
        global using static Given;

        static class Given
        {
            public static Device device => null!;
            public static Tensor x => null!;
            public static Tensor weight => null!;
            public static Tensor y => null!;
            public static Tensor left => null!;
            public static Tensor right => null!;
            public static Tensor dx => null!;
            public static Tensor dWeight => null!;
            public static Tensor dy => null!;
            public static float[] nextInput => null!;
            public static DeviceStream otherStream => null!;
            public static CausalLanguageModel model => null!;
            public static Adapter adapter => null!;
            public static BpeTokenizer tokenizer => null!;
            public static EncodedRecord[] records => null!;
            public static AdapterOptions options => null!;
            public static int steps => 1;
            public static string modelPath => "";
            public static string dataPath => "";
            public static string adapterPath => "";
            public static string outputPath => "";
            public static string statePath => "";
            public static ManagedCuda.PrimaryContext context => null!;
            public static ManagedCuda.CudaDeviceVariable variable => null!;
            public static int tokens => 1;
            public static int features => 1;
        }
        """;

    // The part of ManagedCuda that docs/interop.md shows: its license rules out a reference to the package.
    private const string ManagedCuda = """
        namespace ManagedCuda
        {
            sealed class PrimaryContext(int device) : IDisposable
            {
                public Context Context => new(device);
                public void SetCurrent() { }
                public CudaKernel LoadKernelPTX(byte[] image, string name) => new();
                public void Dispose() { }
            }

            sealed class CudaKernel;

            sealed class CudaDeviceVariable
            {
                public DevicePointer DevicePointer => new(0);
            }

            record struct Context(nint Pointer);

            record struct DevicePointer(nuint Pointer);
        }
        """;

    private static readonly CSharpParseOptions Options = new(LanguageVersion.Preview);

    private static readonly SyntaxTree[] Surroundings =
    [
        .. new[] { ImplicitUsings, LibraryUsings(), Given, ManagedCuda }.Select(code => Parse(code)),
    ];

    private static readonly MetadataReference[] References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    /// <summary>Compiles statements, declarations or both, and returns the errors, each with its line.</summary>
    public static IEnumerable<string> Errors(string code)
    {
        SyntaxTree tree = Parse(code);
        bool isProgram = tree.GetRoot().ChildNodes().OfType<GlobalStatementSyntax>().Any();
        var compilation = CSharpCompilation.Create(
            "example",
            [tree, .. Surroundings],
            References,
            new CSharpCompilationOptions(
                isProgram ? OutputKind.ConsoleApplication : OutputKind.DynamicallyLinkedLibrary,
                nullableContextOptions: NullableContextOptions.Enable
            )
        );
        return compilation
            .GetDiagnostics()
            .Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error)
            .Select(diagnostic => diagnostic.ToString());
    }

    private static SyntaxTree Parse(string code) => CSharpSyntaxTree.ParseText(code, Options);

    private static string LibraryUsings()
    {
        IEnumerable<Type> types = typeof(Device).Assembly.GetExportedTypes();
        IEnumerable<string?> namespaces = types
            .Concat(typeof(Trainer).Assembly.GetExportedTypes())
            .Select(type => type.Namespace)
            .Distinct();
        return string.Concat(namespaces.Select(name => $"global using {name};\n"));
    }
}
