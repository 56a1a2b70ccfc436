using System.Reflection;
using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// Every C# argument struct against what the native compiler made of its twin: size, and name, offset and size of each
/// field.
/// </summary>
public sealed class ArgumentLayoutTests
{
    [TestCaseSource(typeof(KernelEntries), nameof(KernelEntries.Cases))]
    public void MirrorsTheNativeStruct(KernelEntry entry, string name)
    {
        Devices.RequireSourceKernels("only the kernels' source registers the layout of its arguments");
        Device device = Devices.Get(DeviceKind.Cpu);
        if (KernelLibrary.IsForHopper(entry.Module) && device.ComputeCapability != (9, 0))
            Assert.Ignore($"{device.Name}: {entry.Module} is for compute capability 9.0");
        // Layouts are registered when the image is loaded.
        string? native = DriverApi.Cpu.ArgumentLayout(device.Kernel(entry.Module, name).Name);
        Assert.That(native, Is.Not.Null, $"the native side reports no layout for {name}");
        Type type = entry.ArgumentType;
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
    public void EveryArgumentStructHasADescriptor() =>
        Assert.That(
            typeof(Device)
                .Assembly.GetTypes()
                .Where(type => type.IsValueType && type.Name.EndsWith("Args", StringComparison.Ordinal)),
            Is.SubsetOf(KernelEntries.All.Select(entry => entry.ArgumentType))
        );

    private static string Snake(string name) =>
        string.Concat(
            name.Select((c, i) => char.IsUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : c.ToString())
        );
}
