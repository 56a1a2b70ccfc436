using System.Runtime.InteropServices;
using System.Text;

namespace Spectral.Kernels.Driver;

/// <summary>Owns a loaded module, with the kernels and variables in it.</summary>
internal sealed unsafe class CudaModuleHandle : DriverHandle
{
    private const int ErrorLogBuffer = 5;
    private const int ErrorLogBufferBytes = 6;
    private const int LogBytes = 8 << 10;

    private CudaModuleHandle(DriverApi api, ContextHandle context, nint value)
        : base(api, context, value, "module") { }

    /// <summary>Loads PTX text, a cubin or a fatbin.</summary>
    /// <param name="api">The driver, with <paramref name="context"/> current.</param>
    /// <param name="context">The context that the module belongs to.</param>
    /// <param name="image">The whole image.</param>
    /// <param name="what">What errors call it.</param>
    /// <exception cref="CudaException">The driver cannot load it.</exception>
    public static CudaModuleHandle Load(DriverApi api, ContextHandle context, ReadOnlySpan<byte> image, string what)
    {
        byte[] ended = new byte[image.Length + 1]; // text ends with a zero
        image.CopyTo(ended);
        byte[] log = new byte[LogBytes];
        nint module;
        int status;
        fixed (byte* bytes = ended)
        fixed (byte* text = log)
        {
            int* options = stackalloc int[] { ErrorLogBuffer, ErrorLogBufferBytes };
            void** values = stackalloc void*[] { text, (void*)(nuint)LogBytes };
            status = api.ModuleLoadDataEx(&module, bytes, 2, options, values);
        }

        if (status != 0)
        {
            string said = Encoding.UTF8.GetString(log.AsSpan(..log.IndexOf((byte)0))).Trim();
            api.Fail(status, $"loading {what}", "cuModuleLoadDataEx", said);
        }

        return new CudaModuleHandle(api, context, module);
    }

    /// <summary>Finds a kernel; 0 and the driver's status if there is none.</summary>
    public nint Function(DriverApi api, string entry, out int status)
    {
        nint function;
        fixed (byte* name = Encoding.UTF8.GetBytes(entry + "\0"))
            status = api.ModuleGetFunction(&function, Value, name);
        return status == 0 ? function : 0;
    }

    /// <summary>Finds a variable: its address, and its size in bytes.</summary>
    /// <param name="api">The driver.</param>
    /// <param name="variable">Its name.</param>
    /// <param name="what">What errors call the module.</param>
    /// <exception cref="CudaException">There is none of this name.</exception>
    public (ulong Pointer, long Bytes) Global(DriverApi api, string variable, string what)
    {
        ulong pointer;
        nuint bytes;
        fixed (byte* name = Encoding.UTF8.GetBytes(variable + "\0"))
            api.Check(api.ModuleGetGlobal(&pointer, &bytes, Value, name), $"finding variable {variable} in {what}");
        return (pointer, (long)bytes);
    }

    /// <summary>Lists the names of the kernels; null if the driver cannot.</summary>
    public string[]? Entries(DriverApi api)
    {
        nint module = Value;
        if (api.ModuleGetFunctionCount == null || api.ModuleEnumerateFunctions == null || api.FuncGetName == null)
            return null;
        uint count;
        api.Check(api.ModuleGetFunctionCount(&count, module), "counting the kernels of a module");
        if (count == 0)
            return []; // the driver refuses an empty list
        nint[] functions = new nint[count];
        fixed (nint* list = functions)
            api.Check(api.ModuleEnumerateFunctions(list, count, module), "listing the kernels of a module");
        return Array.ConvertAll(functions, function => NameOf(api, function));
    }

    protected override int Free(nint value) => Api.ModuleUnload(value);

    private static string NameOf(DriverApi api, nint function)
    {
        byte* name;
        api.Check(api.FuncGetName(&name, function), "reading the name of a kernel");
        return Marshal.PtrToStringUTF8((nint)name)!;
    }
}
