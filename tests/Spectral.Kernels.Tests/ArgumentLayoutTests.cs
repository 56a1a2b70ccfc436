using System.Reflection;
using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>Every C# argument struct against what the native compiler made of its twin: size, and name, offset and size of each field.</summary>
public sealed class ArgumentLayoutTests
{
    public static IEnumerable<TestCaseData> Structs() =>
        from type in typeof(Device).Assembly.GetTypes()
        let kernel = type.GetCustomAttribute<KernelArgsAttribute>()
        where kernel is not null
        from entry in kernel.Entries
        select new TestCaseData(type, entry).SetArgDisplayNames(type.Name, entry);

    [TestCaseSource(nameof(Structs))]
    public void MirrorsTheNativeStruct(Type type, string entry)
    {
        string? native = DriverApi.Cpu.ArgumentLayout(LoadedEntry(type, entry));
        Assert.That(native, Is.Not.Null, $"the native side reports no layout for {entry}");
        string managed =
            $"{Marshal.SizeOf(type)};"
            + string.Concat(
                type.GetFields(BindingFlags.Instance | BindingFlags.Public)
                    .Select(field =>
                        $"{Snake(field.Name)}:{Marshal.OffsetOf(type, field.Name)}:{Marshal.SizeOf(field.FieldType)};"
                    )
            );
        Assert.That(managed, Is.EqualTo(native));
        Assert.That(type.IsPublic, Is.True, "argument structs are part of the public API");
    }

    [Test]
    public void EveryArgumentStructNamesItsKernels() =>
        Assert.That(
            typeof(Device)
                .Assembly.GetTypes()
                .Where(type =>
                    type.IsValueType
                    && type.Name.EndsWith("Args", StringComparison.Ordinal)
                    && type.GetCustomAttribute<KernelArgsAttribute>() is null
                ),
            Is.Empty
        );

    // Layouts are registered when the image is loaded.
    private static string LoadedEntry(Type type, string entry) =>
        Devices.Get(DeviceKind.Cpu).Kernel(type.GetCustomAttribute<KernelArgsAttribute>()!.Module, entry).Name;

    private static string Snake(string name) =>
        string.Concat(
            name.Select((c, i) => char.IsUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : c.ToString())
        );
}
