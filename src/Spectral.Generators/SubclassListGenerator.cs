using System.Collections.Immutable;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace Spectral.Generators;

/// <summary>
/// Writes the body of each static partial method <c>T[] Name()</c> that carries <c>[NewOfEachSubclass]</c>: it returns
/// one new object of every class of the project that derives from T, is not abstract and has a parameterless
/// constructor, in ordinal order of their full names.
/// </summary>
/// <remarks>
/// The list is part of the compiled code, so that trimmed and ahead-of-time compiled programs keep the classes, and a
/// class is found by being there: no file lists them.
/// </remarks>
[Generator(LanguageNames.CSharp)]
public sealed class SubclassListGenerator : IIncrementalGenerator
{
    private const string Attribute = "Spectral.Generators.NewOfEachSubclassAttribute";

    private const string AttributeSource = """
        namespace Spectral.Generators;

        [global::System.AttributeUsage(global::System.AttributeTargets.Method)]
        internal sealed class NewOfEachSubclassAttribute : global::System.Attribute;
        """;

    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        context.RegisterPostInitializationOutput(output =>
            output.AddSource("NewOfEachSubclassAttribute.g.cs", SourceText.From(AttributeSource, Encoding.UTF8))
        );
        IncrementalValuesProvider<IMethodSymbol> methods = context.SyntaxProvider.ForAttributeWithMetadataName(
            Attribute,
            (node, _) => node is MethodDeclarationSyntax,
            (found, _) => (IMethodSymbol)found.TargetSymbol
        );
        IncrementalValuesProvider<INamedTypeSymbol> classes = context.SyntaxProvider.CreateSyntaxProvider(
            (node, _) => node is ClassDeclarationSyntax { BaseList: not null },
            Symbol
        );
        IncrementalValuesProvider<(string File, string Source)> sources = methods
            .Combine(classes.Collect())
            .Select((pair, _) => (FileName(pair.Left), Source(pair.Left, pair.Right)));
        context.RegisterSourceOutput(
            sources,
            (output, source) => output.AddSource(source.File, SourceText.From(source.Source, Encoding.UTF8))
        );
    }

    private static INamedTypeSymbol Symbol(GeneratorSyntaxContext context, CancellationToken cancellation) =>
        (INamedTypeSymbol)context.SemanticModel.GetDeclaredSymbol(context.Node, cancellation)!;

    private static string FileName(IMethodSymbol method) => $"{method.ContainingType.Name}.{method.Name}.g.cs";

    private static string Source(IMethodSymbol method, ImmutableArray<INamedTypeSymbol> classes)
    {
        ITypeSymbol wanted = ((IArrayTypeSymbol)method.ReturnType).ElementType;
        IEnumerable<string> names = classes
            .Where(type => IsListed(type, wanted))
            .Select(type => type.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat))
            .Distinct()
            .OrderBy(name => name, System.StringComparer.Ordinal);
        StringBuilder source = new();
        source.AppendLine($"namespace {method.ContainingNamespace.ToDisplayString()};").AppendLine();
        source.AppendLine($"partial class {method.ContainingType.Name}").AppendLine("{");
        string returned = method.ReturnType.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat);
        source.AppendLine($"    private static partial {returned} {method.Name}() =>").AppendLine("    [");
        foreach (string name in names)
            source.AppendLine($"        new {name}(),");
        return source.AppendLine("    ];").AppendLine("}").ToString();
    }

    private static bool IsListed(INamedTypeSymbol type, ITypeSymbol wanted) =>
        !type.IsAbstract
        && DerivesFrom(type, wanted)
        && type.InstanceConstructors.Any(constructor =>
            constructor.Parameters.IsEmpty && constructor.DeclaredAccessibility >= Accessibility.Internal
        );

    private static bool DerivesFrom(INamedTypeSymbol type, ITypeSymbol wanted)
    {
        for (INamedTypeSymbol? parent = type.BaseType; parent is not null; parent = parent.BaseType)
        {
            if (SymbolEqualityComparer.Default.Equals(parent, wanted))
                return true;
        }
        return false;
    }
}
