namespace Spectral.Kernels.Tests.Support;

/// <summary>What nvcc 12.4 makes of a kernel of one line, as a fatbin.</summary>
internal static class SmallFatbin
{
    /// <summary>
    /// <c>extern "C" __global__ void arch(int* to) { *to = __CUDA_ARCH__; }</c>, with <c>--fatbin</c>,
    /// <c>-gencode arch=compute_80,code=[sm_80,compute_80]</c>, <c>-gencode arch=compute_90a,code=compute_90a</c> and
    /// <c>-Xfatbin=-compress-all</c>: a cubin and two PTX.
    /// </summary>
    public static byte[] Arch => Convert.FromBase64String(Text);

    /// <summary>The cubin of <see cref="Arch"/> alone, as a fatbin.</summary>
    public static byte[] Cubin
    {
        get
        {
            byte[] image = Arch[..(Header + CubinBytes)];
            BitConverter.TryWriteBytes(image.AsSpan(8), (long)CubinBytes);
            return image;
        }
    }

    private const int Header = 16;
    private const int CubinBytes = 72 + 840; // header of the entry and compressed code

    private const string Text =
        "UO1VugEAEAAQBgAAAAAAAAIAAQFIAAAASAMAAAAAAABIAwAAAAAAAAcAAQBQAAAAAAAAAAAAAAARIAAAAAAAAAAAAAAAAAAAKAoAAAAA"
        + "AAAAAAAAAAAAAKJ/RUxGAgEBMwcAAQBmAgC+AHwAAQAjgAkIABEGBwD1DgBQBVAAQAA4AAMAQAAMAAEAAC5zaHN0cnRhYgAuCAAneW0I"
        + "APULX3NobmR4AC5udi5pbmZvAC50ZXh0LmFyY2gUAAYOAGZzaGFyZWQQAJNjb25zdGFudDATAD9yZWwXAAGyZGVidWdfZnJhbWUkAAwR"
        + "ABphEgAAQwByYWxsZ3JhcGgAgnByb3RvdHlwHAAAQgBvYWN0aW9u4ABKD80ABA/gAFoBYAAPAQAIjDIAAAADAAsAAQARchgALAoAAQAR"
        + "hRgALAQAAQARtRgALAcAAQAR0RgALAgAAQBn4AAAABIQeAARAQYAdgD/////JAAMAAABAEADAAR8CADRDwyBgIAoAAj/gYAoCAsAAiQA"
        + "LzQAAQAEA1QAEASvAFIEGAAAAEEAYgT8//8/AAEAQAQvCAD7AgCiACIEEgwAAAEAJwQRDAAIGAAhNwRAA/UJATUAAAQKCAACAAAAYAEI"
        + "AAMZCAAEFwwAAQDW8CEAAxv/AAQcBABgANAAAAgAE/4IABP9CABl/P///3MAAQB0ESUABTZEALADFQB8AA8BAP+iQCR2Af9HA+P/AI4H"
        + "AOQPACR0Bf8gAxAA8ADiDwACegIAAFgAAAAPAAAQAKK5egQAAEYAAAAKEABjAnoDAABZIACAyg8AhnkAAgWIAjAZEAwgADNNeQABALCA"
        + "AwDqDwBHeQAA8GkCpv+DAwDADwAYeQABAA8QAGAPAQAtEQFABA4BACZAAEgEDDAACAEAHwtAAAQTICkAL+UAQAALExOEAwwBABMIFQAq"
        + "qACoAwTqBCYYADAFLgEAAQATsEAAL3AAgAALHyknAAMxACADBwAhADAGAAbkAAyaBRM9QAAqQAABABNQMQAmOABAAB8LQAAAErWUAA2A"
        + "ABOIQAAvIACAAAMXCAAGHwtAAAATqDEAKhAAAQAbCAgAV5IAAAAJ8AEEAQAbuEAAEwN8ACoIABgAE1tUASpCAAEAE8hAABdocQEPAAEB"
        + "EzJAAAyEBRCAhQMTAB0AA4AAagYAAAiAAAEAADgAFwVoCQ0IARoACAAXCFcAFwWoAAwBACq4AggADDgAD3AAGFAAAAAAAAEAAQFYAAAA"
        + "6AAAAAAAAADiAAAASAAAAAQACABQAAAAAAAAAAAAAAARIAAAAAAAAAAAAAAAAAAAFgEAAAAAAAAAAAAAAAAAAFAAAAAAAAAAAAAAAAAA"
        + "AAA8Ci8vAwDzHgoudmVyc2lvbiA4LjQKLnRhcmdldCBzbV84MAouYWRkcmVzc19zaXplIDY0CjEA8RBpc2libGUgLmVudHJ5IGFyY2go"
        + "Ci5wYXJhbSAudTY0EgARXxAA9AhfMAopCnsKLnJlZyAuYjMyICVyPDI+OxEA8gA2NCAlcmQ8Mz47CgoKbGREACIudRcASDEsIFtKAPQC"
        + "XTsKY3Z0YS50by5nbG9iYWwpACEyLC8AcTsKbW92LnVlAKUxLCA4MDA7CnN0LABAMzIgWy0AEF0uANAxOwpyZXQ7Cgp9CgoAAAAAAAAA"
        + "AQABAVgAAADoAAAAAAAAAOMAAABIAAAABAAIAFoAAAAAAAAAAAAAABEgEAAAAAAAAAAAAAAAAAAXAQAAAAAAAAAAAAAAAAAAUAAAAAAA"
        + "AAAAAAAAAAAAADwKLy8DAPMfCi52ZXJzaW9uIDguNAoudGFyZ2V0IHNtXzkwYQouYWRkcmVzc19zaXplIDY0CjIA8RBpc2libGUgLmVu"
        + "dHJ5IGFyY2goCi5wYXJhbSAudTY0EgARXxAA9AhfMAopCnsKLnJlZyAuYjMyICVyPDI+OxEA8gA2NCAlcmQ8Mz47CgoKbGREACIudRcA"
        + "SDEsIFtKAPQCXTsKY3Z0YS50by5nbG9iYWwpACEyLC8AcTsKbW92LnVlAKUxLCA5MDA7CnN0LABAMzIgWy0AEF0uANAxOwpyZXQ7Cgp9"
        + "CgoAAAAAAAA=";
}
