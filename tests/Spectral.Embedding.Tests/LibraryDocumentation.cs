using System.Xml.Linq;
using Spectral.Kernels;
using Spectral.Training;

namespace Spectral.Embedding.Tests;

/// <summary>Reads the documentation of public types that the compiler writes beside each library.</summary>
internal static class LibraryDocumentation
{
    /// <summary>Gets the documented types and their members, each named as in a cref.</summary>
    public static IEnumerable<(string Name, XElement Text)> Members() =>
        from library in new[] { typeof(Device).Assembly, typeof(Trainer).Assembly }
        let types = library.GetExportedTypes().Select(type => type.FullName!.Replace('+', '.')).ToHashSet()
        let file = Path.Combine(AppContext.BaseDirectory, $"{library.GetName().Name}.xml")
        from member in XDocument.Load(file).Descendants("member")
        let name = (string)member.Attribute("name")!
        where types.Contains(TypeOf(name))
        select (name, member);

    // "T:Space.Type" or "M:Space.Type.Member(Space.Type)".
    private static string TypeOf(string name)
    {
        string path = name.Split('(')[0][2..];
        return name.StartsWith("T:", StringComparison.Ordinal) ? path : path[..path.LastIndexOf('.')];
    }
}
