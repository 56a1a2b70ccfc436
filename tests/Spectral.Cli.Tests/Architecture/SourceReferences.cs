using System.Collections.Concurrent;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Spectral.Tests.Support;

namespace Spectral.Cli.Tests.Architecture;

/// <summary>A type of <c>src</c> that names another one, or a member of it.</summary>
/// <param name="From">The namespace of the type that names the other.</param>
/// <param name="Type">Its name.</param>
/// <param name="To">The namespace of the other type.</param>
/// <param name="Named">The name of the other type.</param>
internal sealed record SourceReference(string From, string Type, string To, string Named);

/// <summary>
/// Reads the sources below <c>src</c> as the compiler does. Sources rather than assemblies: constants and <c>nameof</c>
/// leave no trace in compiled code. References in documentation comments do not count.
/// </summary>
internal sealed class SourceReferences
{
    // What the SDK writes for ImplicitUsings.
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private readonly List<SyntaxTree> _trees;
    private readonly CSharpCompilation _compilation;

    private SourceReferences(IEnumerable<string> files)
    {
        var options = new CSharpParseOptions(LanguageVersion.Preview, DocumentationMode.None);
        _trees =
        [
            .. files.AsParallel().Select(file => CSharpSyntaxTree.ParseText(File.ReadAllText(file), options, file)),
        ];
        IEnumerable<string> assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(path => !Path.GetFileName(path).StartsWith("Spectral.", StringComparison.Ordinal));
        _compilation = CSharpCompilation.Create(
            "src",
            [.. _trees, CSharpSyntaxTree.ParseText(ImplicitUsings, options)],
            assemblies.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, allowUnsafe: true)
        );
        All = [.. Read().Distinct().OrderBy(reference => reference.ToString(), StringComparer.Ordinal)];
    }

    /// <summary>Gets the references between types of different namespaces, each once.</summary>
    public IReadOnlyList<SourceReference> All { get; }

    /// <summary>
    /// Finds the types that call native code: by an imported member, or by function pointer. One that an alias names
    /// counts for the type of that file.
    /// </summary>
    public IEnumerable<string> CallersOfNativeCode() =>
        from tree in _trees
        from node in tree.GetRoot().DescendantNodes()
        where
            node is FunctionPointerTypeSyntax
            || node is AttributeSyntax { Name: var name } && name.ToString() is "LibraryImport" or "DllImport"
        let model = _compilation.GetSemanticModel(tree)
        let type = Outermost(model.GetEnclosingSymbol(node.SpanStart)) ?? FirstType(model)
        where type is not null
        select type.ToDisplayString();

    /// <summary>
    /// Reads the repository that this test program was built in; the test is ignored where there is none.
    /// </summary>
    public static SourceReferences OfRepository() => new(FilesIn(Path.Combine(Repository.Root, "src")));

    private static IEnumerable<string> FilesIn(string folder) =>
        Directory
            .EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/") && !file.Contains("/bin/"));

    private ConcurrentBag<SourceReference> Read()
    {
        var found = new ConcurrentBag<SourceReference>();
        Parallel.ForEach(
            _trees,
            tree =>
            {
                SemanticModel model = _compilation.GetSemanticModel(tree);
                foreach (SimpleNameSyntax name in tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>())
                {
                    if (name.FirstAncestorOrSelf<UsingDirectiveSyntax>() is not null)
                        continue;
                    SymbolInfo info = model.GetSymbolInfo(name);
                    ISymbol? symbol = info.Symbol ?? info.CandidateSymbols.FirstOrDefault();
                    if (Outermost(symbol) is not { } named || named.Locations.All(place => !place.IsInSource))
                        continue;
                    MemberDeclarationSyntax? declaration = name.Ancestors()
                        .OfType<MemberDeclarationSyntax>()
                        .FirstOrDefault(member => member is BaseTypeDeclarationSyntax or DelegateDeclarationSyntax);
                    if (declaration is null || Outermost(model.GetDeclaredSymbol(declaration)) is not { } from)
                        continue;
                    (string here, string there) = (Namespace(from), Namespace(named));
                    if (here != there)
                        found.Add(new SourceReference(here, from.Name, there, named.Name));
                }
            }
        );
        return found;
    }

    private static INamedTypeSymbol? FirstType(SemanticModel model) =>
        model
            .SyntaxTree.GetRoot()
            .DescendantNodes()
            .OfType<BaseTypeDeclarationSyntax>()
            .Select(declaration => model.GetDeclaredSymbol(declaration))
            .FirstOrDefault();

    private static INamedTypeSymbol? Outermost(ISymbol? symbol)
    {
        INamedTypeSymbol? type = symbol as INamedTypeSymbol ?? symbol?.ContainingType;
        while (type?.ContainingType is { } outer)
            type = outer;
        return type;
    }

    private static string Namespace(INamedTypeSymbol type) => type.ContainingNamespace.ToDisplayString();
}
