using System.Reflection;

namespace Spectral.Kernels.Tests.Support;

/// <summary>
/// Finds every kernel descriptor: those of the library's argument structs and of the probes in the tests.
/// </summary>
internal static class KernelEntries
{
    public static IReadOnlyList<KernelEntry> All { get; } =
        new[] { typeof(Device).Assembly, typeof(KernelEntries).Assembly }
            .SelectMany(assembly => assembly.GetTypes())
            .SelectMany(type => type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.DeclaredOnly))
            .Where(field => typeof(KernelEntry).IsAssignableFrom(field.FieldType))
            .Select(field => (KernelEntry)field.GetValue(null)!)
            .ToArray();

    /// <summary>One case for each kernel: its descriptor and its name.</summary>
    public static IEnumerable<TestCaseData> Cases() =>
        from entry in All
        from name in entry.Names
        select new TestCaseData(entry, name).SetArgDisplayNames(entry.ArgumentType.Name, name);
}
